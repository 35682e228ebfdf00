package status

import (
	"fmt"
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
)

// Ages from which a backlog is a problem.
const (
	lateBacklog = time.Minute
	lateEvents  = time.Minute
)

// view holds what the page shows.
type view struct {
	Version   string
	CardPages bool // there are pages of single cards
	Uptime    time.Duration
	Refresh   int // seconds
	Now       time.Time
	Cards     string // number of registered cards, such as "1 card"; "" if not known
	Down      bool   // the store does not respond
	Problems  []problem
	Tiles     []tile
	Past      *chart
	Next      *chart
	Failing   []failingCard
	More      int64 // failing cards beyond those listed
}

// problem is an entry of the list below the overall status.
type problem struct {
	Severe bool
	Text   string
}

// Status returns the overall status: its class of style, one word and a sentence.
func (v *view) Status() (s struct{ Class, Word, Text string }) {
	switch {
	case v.Down:
		s.Class, s.Word, s.Text = "severe", "Down", "The store does not respond: calls fail, and nothing rotates. This page is incomplete; see the log."
	case len(v.Problems) > 0:
		s.Class, s.Word, s.Text = "warning", "Degraded", many(int64(len(v.Problems)), "problem:", "problems:")
	default:
		s.Class, s.Word, s.Text = "ok", "OK", "Rotations are on time, and events are delivered."
	}
	return s
}

// tile is one figure with its label.
type tile struct {
	Label, Value, Detail string
	Attention            bool
}

type failingCard struct {
	ID       string
	Failures int
	Failure  string
	Retry    time.Time     // next attempt
	In       time.Duration // time until then; 0: now
}

func (v *view) warn(format string, args ...any) {
	v.Problems = append(v.Problems, problem{Text: fmt.Sprintf(format, args...)})
}

func (v *view) addRecent(h telemetry.Hour) {
	rotations := tile{Label: "Rotations, last hour", Value: number(h.Total), Detail: number(h.Automatic) + " automatic, " + number(h.Total-h.Automatic) + " forced"}
	late := tile{Label: "Lateness, last hour", Value: "–", Detail: "no automatic rotation in the last hour"}
	if h.Automatic > 0 {
		late.Value, late.Detail = duration(h.P99), "99th percentile; median "+duration(h.P50)
	}
	v.Tiles = append(v.Tiles, rotations, late)
	v.Past = newChart(h.PerMinute[:], func(i int) string { return ago(len(h.PerMinute) - 1 - i) })
}

func (v *view) addRelay(s outbox.State, now time.Time) {
	if !s.Down.IsZero() {
		v.Problems = append(v.Problems, problem{Severe: true, Text: fmt.Sprintf("The event sink has accepted nothing for %s: %s", duration(now.Sub(s.Down)), s.Failure)})
	}
}

func (v *view) addStats(s store.Stats) {
	backlog := tile{Label: "Due now", Value: number(s.Backlog), Detail: "no backlog"}
	if s.Backlog > 0 {
		late := max(v.Now.Sub(s.OldestDue), 0)
		backlog.Detail = "oldest for " + duration(late)
		if late > lateBacklog {
			backlog.Attention = true
			v.warn("Automatic rotations are falling behind: %s due, the oldest for %s.", many(s.Backlog, "card is", "cards are"), duration(late))
		}
	}
	fails := tile{Label: "Failing cards", Value: number(s.Failing), Detail: "none", Attention: s.Failing > 0}
	if s.Failing > 0 {
		fails.Detail = "retried, see below"
		v.warn("Automatic rotation fails for %s. The errors are listed below.", many(s.Failing, "card", "cards"))
	}
	events := tile{Label: "Undelivered events", Value: number(s.Waiting), Detail: "all are delivered"}
	if s.Waiting > 0 {
		late := max(v.Now.Sub(s.OldestWaiting), 0)
		events.Detail = "oldest for " + duration(late)
		if late > lateEvents {
			events.Attention = true
			v.warn("Event delivery is falling behind: %s undelivered, the oldest for %s. The sink is slow or down, or none is configured.", many(s.Waiting, "event is", "events are"), duration(late))
		}
	}
	parked := tile{Label: "Parked events", Value: number(s.Parked), Detail: "none", Attention: s.Parked > 0}
	if s.Parked > 0 {
		parked.Detail = "dead-lettered"
		v.warn("%s dead-lettered (parked) and not delivered. Fix the subscriber, then run cvvd events replay --parked.", many(s.Parked, "event is", "events are"))
	}
	v.Tiles = append([]tile{backlog}, append(v.Tiles, fails, events, parked)...)
	v.Cards = many(s.Cards, "card", "cards")
	v.More = s.Failing
}

func (v *view) addForecast(counts []int64) {
	v.Next = newChart(counts, func(i int) string {
		if i == 0 {
			return "within the next minute"
		}
		return fmt.Sprintf("in %d min", i)
	})
}

func (v *view) addFailing(cards []store.Card) {
	for _, c := range cards {
		v.Failing = append(v.Failing, failingCard{c.ID, c.Failures, c.Failure, c.Due, max(c.Due.Sub(v.Now), 0)})
	}
	v.More = max(v.More-int64(len(cards)), 0)
}
