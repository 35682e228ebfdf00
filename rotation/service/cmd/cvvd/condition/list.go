package condition

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Severity says how urgent a condition is.
type Severity string

// The severities. They are the values of the alerts' label severity.
const (
	Page   Severity = "page"   // an engineer must act now
	Ticket Severity = "ticket" // an engineer must act within days
)

func (s Severity) level() slog.Level {
	if s == Page {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Condition is one thing that can be wrong with the daemon or its surroundings.
type Condition struct {
	Name     string   // label of the metric cvv_condition, and heading of the runbook's section
	Sentence string   // what is wrong, and the consequence
	Action   string   // what to do; `code` is in backticks
	Severity Severity // the highest of its alerts
	NotReady bool     // while it holds, /readyz is 503
	Alerts   []string // the alerts that fire if it lasts

	// holds reports whether the condition holds. The detail has no secret; it may name
	// hosts.
	holds func(*facts) (holds bool, detail string)
}

// Thresholds. Those of the alerts are not lower.
const (
	lateRotation = 10 * time.Second // age of the oldest due card
	lateEvent    = time.Minute      // age of the oldest undelivered event
	staleKeys    = 6 * time.Hour    // age of the key set
)

// List has all conditions, the most urgent first.
var List = []*Condition{{
	Name: "store_unreachable", Severity: Page, NotReady: true,
	Alerts:   []string{"CVVStoreDown", "CVVReplicaWithoutStore"},
	Sentence: "The database does not respond to this replica: its calls fail with 503, and it rotates no card.",
	Action:   "If `CVVStoreDown` fires, no replica reaches the database: restore the database. Do not restart the daemons: they resume automatically; each overdue card rotates once, however many slots it missed. If the metric is missing, no daemon runs or Prometheus cannot scrape it. If only `CVVReplicaWithoutStore` fires, check this machine's network: the other replicas do its work.",
	holds: func(f *facts) (bool, string) {
		return f.nowErr != nil && !errors.Is(f.nowErr, store.ErrReadOnly), text(f.nowErr)
	},
}, {
	Name: "schema_mismatch", Severity: Page, NotReady: true,
	Alerts:   []string{"CVVSchemaMismatch"},
	Sentence: "The database lacks tables or columns that this version of cvvd needs: calls fail.",
	Action:   "The database was changed or restored while the daemon ran. Run `cvvd migrate`, which prints the version of the schema. If the schema is newer than the daemon, update the daemon.",
	holds: func(f *facts) (bool, string) {
		for _, err := range []error{f.nowErr, f.statsErr, f.writes.Err} {
			if errors.Is(err, store.ErrSchema) {
				return true, text(err)
			}
		}
		return false, ""
	},
}, {
	Name: "writes_failing", Severity: Page, NotReady: true,
	Alerts:   []string{"CVVWritesFail"},
	Sentence: "The database refuses writes: calls that change a card fail with 503, with PostgreSQL all calls, and nothing rotates.",
	Action:   "The error says why. A full disk: make room. A read-only PostgreSQL server: the address leads to a standby, or `default_transaction_read_only` is set. A locked SQLite file: end the other program. The daemon writes a test row every second until the database accepts it, so it resumes automatically.",
	holds: func(f *facts) (bool, string) {
		if errors.Is(f.nowErr, store.ErrReadOnly) { // a store may use such a server for nothing
			return true, text(f.nowErr)
		}
		return f.writes.Err != nil, text(f.writes.Err)
	},
}, {
	Name: "token_keys_missing", Severity: Page, NotReady: true,
	Alerts:   []string{"CVVTokenKeysMissing"},
	Sentence: "The token signing keys (JWKS) are not loaded: every call fails with 503.",
	Action:   "Restore access to `auth.jwks_url`, or correct the file. The log names the reason (`JWKS refresh failed`) and the entries of a key set that were skipped.",
	holds:    func(f *facts) (bool, string) { return f.keys && f.keysLoaded.IsZero(), "" },
}, {
	Name: "audit_log_failing", Severity: Page, NotReady: true,
	Alerts:   []string{"CVVAuditLogFails"},
	Sentence: "Audit records cannot be written: calls that reveal a CVV fail with 503, and the records of other calls are only in the log.",
	Action:   "The error says why: make room on the disk of `log.audit_file`, or restore its permissions. The daemon tries to write a record (`resume_log`) every second, so it resumes automatically. That record says how many are missing: copy these from the log (`audit log write failed; the record follows`).",
	holds:    func(f *facts) (bool, string) { return f.audit.Err != nil, text(f.audit.Err) },
}, {
	Name: "rotations_late", Severity: Page,
	Alerts:   []string{"CVVRotationsLate"},
	Sentence: "Automatic rotations are late: CVVs are accepted for longer than promised. Nothing is lost.",
	Action:   "If `cvv_store_duration_seconds` is high, the database is slow. If `cvv_due_backlog_cards` falls, the daemons are working off a burst: `cvvsim fleet` forecasts how long one takes. If it happens daily at the same time, spread the cards (`\"spread\": true` when you register them).",
	holds: func(f *facts) (bool, string) {
		late := f.age(f.stats.OldestDue)
		return late > lateRotation, fmt.Sprintf("Due: %d, the oldest for %v", f.stats.Backlog, late)
	},
}, {
	Name: "reveals_failing", Severity: Page,
	Alerts:   []string{"CVVRevealsFail"},
	Sentence: "Calls that reveal a CVV failed with a 5xx status within the last 5 minutes.",
	Action:   "Search the log for `GET /v1/cards/{cardId}/cvv` and status 500 or 503: the record has the error. The most common cause of a 500 is a sealing key that was removed too early: add it again.",
	holds: func(f *facts) (bool, string) {
		return count(f.increase(5*time.Minute).RevealErrors, "Failed calls to this replica")
	},
}, {
	Name: "calls_failing", Severity: Page,
	Alerts:   []string{"CVVCallsFail"},
	Sentence: "More than 1 % of the calls of the last 5 minutes failed with a 5xx status.",
	Action:   "Search the log for the `request_id` that the caller received: it has the `reason` of a 503 and the `error` of a 500.",
	holds: func(f *facts) (bool, string) {
		n := f.increase(5 * time.Minute)
		return ratio(n.ServerErrors, n.Requests, 0.01, "of this replica's calls")
	},
}, {
	Name: "sink_down", Severity: Page,
	Alerts:   []string{"CVVSinkDown"},
	Sentence: "The event sink accepts nothing: subscribers do not receive events. CVVs still rotate, and the events wait.",
	Action:   "Fix the subscriber, the broker or the webhook's secret. Delivery resumes automatically, in order.",
	holds: func(f *facts) (bool, string) {
		if !f.relay.HasLease && f.reported() {
			return !f.report.Down.IsZero(), f.report.Failure + " (reported by " + f.report.Holder + ")"
		}
		return !f.relay.Down.IsZero(), f.relay.Failure
	},
}, {
	Name: "events_late", Severity: Page,
	Alerts:   []string{"CVVEventsLate"},
	Sentence: "Events are undelivered for more than a minute: subscribers do not see changed CVVs.",
	Action:   "If `sink_down` holds, too, fix the sink. Without a sink (`events.sink`) this condition and its alert are constant once a card has changed: configure one, or remove the alert.",
	holds: func(f *facts) (bool, string) {
		late := f.age(f.stats.OldestWaiting)
		return late > lateEvent, fmt.Sprintf("Undelivered: %d, the oldest for %v", f.stats.Waiting, late)
	},
}, {
	Name: "card_throttled", Severity: Page,
	Alerts:   []string{"CVVCardThrottled"},
	Sentence: "A card had `engine.max_daily_tries` failed attempts within 24 hours: its CVVs are no longer compared, not even the right one, until enough attempts are older.",
	Action:   "With an honest caller a lock comes first: a caller with `cvv:unlock` removes it and guesses on. The audit log has the card and the caller (`\"throttled\":true`), and who unlocked it (`\"operation\":\"unlock\"`). Withdraw `cvv:unlock` from a caller that verifies. Force a rotation with `--compromised`. `cvvd card show CARD` says until when the card is throttled. Nothing resets it; a higher `engine.max_daily_tries` lifts it, for all cards.",
	holds: func(f *facts) (bool, string) {
		return count(f.increase(time.Hour).Throttled, "Refused attempts at this replica within an hour")
	},
}, {
	Name: "draining", Severity: Ticket, NotReady: true,
	Alerts:   []string{"CVVDrainHangs"},
	Sentence: "This replica is shutting down.",
	Action:   "If it lasts longer than `listen.drain` and `listen.shutdown` together, end the process: every answered call is stored.",
	holds:    func(f *facts) (bool, string) { return f.stopping, "" },
}, {
	Name: "store_slow", Severity: Ticket,
	Alerts:   []string{"CVVStoreSlow"},
	Sentence: "The database did not report its figures within 2 seconds: backlog and undelivered events are not known.",
	Action:   "Look for long queries and a full disk at the database server. The figures of the page and of `cvv_store_up` return automatically.",
	holds:    func(f *facts) (bool, string) { return f.nowErr == nil && f.statsErr != nil, text(f.statsErr) },
}, {
	Name: "cards_failing", Severity: Ticket,
	Alerts:   []string{"CVVCardsFailing"},
	Sentence: "Automatic rotation of some cards fails. Each is retried, with delays that grow to an hour. Other cards are not affected.",
	Action:   "The status page and the log list the cards and the errors. The most common cause is a sealing key that was removed too early: add it again. `cvvd card history CARD` shows one card, and so does its page.",
	holds:    func(f *facts) (bool, string) { return count(float64(f.stats.Failing), "Failing cards") },
}, {
	Name: "events_parked", Severity: Ticket,
	Alerts:   []string{"CVVEventsParked"},
	Sentence: "Events failed `events.max_attempts` times and were dead-lettered (\"parked\"). Later events of their cards are delivered; subscribers see a gap in the numbers.",
	Action:   "`cvvd events tail --status parked` shows the events and their errors. Fix the subscriber, then requeue them: `cvvd events replay --parked`, or `--from N --to N` for one.",
	holds:    func(f *facts) (bool, string) { return count(float64(f.stats.Parked), "Parked events") },
}, {
	Name: "token_keys_stale", Severity: Ticket,
	Alerts:   []string{"CVVTokenKeysStale"},
	Sentence: "JWKS refresh has failed for hours: keys loaded earlier are still accepted, even if the issuer has withdrawn them.",
	Action:   "Restore access to `auth.jwks_url`. If a key of the issuer is compromised, restart the daemons: they then reject all tokens until a key set is loaded. The log names the entries of a key set that were skipped (`JWKS loaded`, `JWKS refresh failed`), and `cvv_token_keys` counts them by reason.",
	holds: func(f *facts) (bool, string) {
		age := f.now.Sub(f.keysLoaded).Round(time.Second)
		return f.keys && !f.keysLoaded.IsZero() && age > staleKeys, fmt.Sprintf("Last loaded %v ago", age)
	},
}, {
	Name: "slots_missed", Severity: Ticket,
	Alerts:   []string{"CVVSlotsMissed"},
	Sentence: "Slots passed while nothing ran. Each card rotated once afterwards; missed slots are not caught up.",
	Action:   "No action for the cards. Find out why nothing ran.",
	holds: func(f *facts) (bool, string) {
		return count(f.increase(15*time.Minute).Missed, "Slots missed by this replica within 15 minutes")
	},
}, {
	Name: "clock_stepped", Severity: Ticket,
	Alerts:   []string{"CVVClockWasWrong"},
	Sentence: "A next rotation was more than one interval ahead, because of a clock step, and was moved back.",
	Action:   "Check the clock: the database server's with PostgreSQL, the machine's with SQLite. The log has the cards and their previous slots.",
	holds: func(f *facts) (bool, string) {
		return count(f.increase(time.Hour).Repairs, "Repaired by this replica within an hour")
	},
}, {
	Name: "guessing", Severity: Ticket,
	Alerts:   []string{"CVVGuessing"},
	Sentence: "More than 20 % of the CVVs presented in the last 10 minutes are wrong. An attacker may be guessing.",
	Action:   "Look for callers and cards that appear often in the log (`/cvv/verify`). The log has no verdicts; the audit log records the attempts that locked a card. Rotation does not reset the failed-attempt counter. Verify the cardholder, then unlock a locked card with `cvvd card unlock CARD`.",
	holds: func(f *facts) (bool, string) {
		n := f.increase(10 * time.Minute)
		return ratio(n.Wrong, n.Verdicts, 0.2, "of the CVVs presented to this replica")
	},
}, {
	Name: "many_unlocks", Severity: Ticket,
	Alerts:   []string{"CVVManyUnlocks"},
	Sentence: "More than 20 cards were unlocked within an hour. Each unlock allows more guesses, up to the daily limit.",
	Action:   "Search the audit log for `\"operation\":\"unlock\"`. Unlocks should come from people who verified the cardholder, not from a program that verifies CVVs.",
	holds: func(f *facts) (bool, string) {
		n := f.increase(time.Hour).Unlocks
		return n > 20, fmt.Sprintf("Unlocked by this replica within an hour: %.0f", n)
	},
}}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// count holds if n is positive.
func count(n float64, what string) (bool, string) { return n > 0, fmt.Sprintf("%s: %.0f", what, n) }

// ratio holds if more than the share of total is n.
func ratio(n, total, share float64, what string) (bool, string) {
	return n > share*total, fmt.Sprintf("%.0f of %.0f %s", n, total, what)
}
