package check

import "cvvrotation/rotation"

// A Bug is a system, or a host, that is wrong in one known way. The searches
// must find every one of them.
type Bug struct {
	Name     string
	Sentence string // what it gets wrong
	Rule     string // the rule or duty that it breaks

	wrong deviation // in the rules
	host  hostBug   // or in the host
}

// System returns the system that has the bug: wrong rules, or the right ones
// where the host is at fault. It is [Configurable]; its own rules are the default,
// unless the bug shows under other ones alone.
func (b Bug) System() System {
	t := terms{guard: int64(rotation.DefaultGuard)}
	switch b.wrong {
	case guardZeroDefault:
		t.guard = 0
	case guardInSeconds:
		t.guard = 1
	case guardFromIgnored, intervalUnguarded:
		t.fromScheduling = true
	}
	return table{t, b.wrong}
}

// InHost reports whether the bug is in the simulated host and not in the rules,
// so that only a campaign can find it.
func (b Bug) InHost() bool { return b.host != 0 }

// hostBug is one way for a host to fail in its duties (package rotation's
// documentation numbers them).
type hostBug uint8

const (
	hostReplyBeforePersist hostBug = iota + 1
	hostPersistsAutoOnly
	hostCachedState
	hostRestartResetsTimer
	hostSkipsOverdue
	hostForgetsLost
	hostDropsEarly
	hostStallsOnFailure
	hostUnnamedTimers
)

// Bugs returns the shipped bugs, those in the rules first, in the order of the
// rules that they break.
func Bugs() []Bug { return bugs }

// FindBug returns the bug of that name.
func FindBug(name string) (Bug, bool) {
	for _, b := range bugs {
		if b.Name == name {
			return b, true
		}
	}
	return Bug{}, false
}

var bugs = []Bug{
	{Name: "guard-inclusive", wrong: guardInclusive, Rule: "R3", Sentence: "an event exactly one guard after the previous request is still held"},
	{Name: "guard-short", wrong: guardShort, Rule: "R2", Sentence: "an event in the guard's last nanosecond is no longer held"},
	{Name: "guard-forward-only", wrong: guardForwardOnly, Rule: "R20", Sentence: "an event before the guard's start is never held, however small the step back"},
	{Name: "guard-back-forever", wrong: guardBackForever, Rule: "R20", Sentence: "an event before the guard's start is always held, however large the step back"},
	{Name: "guard-from-scheduling", wrong: guardFromScheduling, Rule: "R16", Sentence: "a rotation within the guard does not restart the guard"},
	{Name: "guard-from-ignored", wrong: guardFromIgnored, Rule: "R16", Sentence: "the guard restarts at every rotation although it counts from schedulings"},
	{Name: "guard-zero-default", wrong: guardZeroDefault, Rule: "R3", Sentence: "a guard of 0 is read as the default"},
	{Name: "guard-in-seconds", wrong: guardInSeconds, Rule: "R2", Sentence: "the guard is read in whole seconds, so one of a nanosecond holds nothing"},
	{Name: "interval-unguarded", wrong: intervalUnguarded, Rule: "R16", Sentence: "a new interval starts no guard where the guard counts from schedulings"},
	{Name: "guard-unset-by-off", wrong: guardUnsetByOff, Rule: "R16", Sentence: "a forced rotation of a card without a schedule does not start the guard"},
	{Name: "guard-unset-by-interval", wrong: guardUnsetByInterval, Rule: "R16", Sentence: "a new interval does not start the guard"},
	{Name: "guard-restarted-by-unchanged", wrong: guardRestartedByUnchanged, Rule: "R9", Sentence: "setting the interval in force restarts the guard"},
	{Name: "guard-restarted-by-idle", wrong: guardRestartedByIdle, Rule: "R12", Sentence: "a delivery that changes nothing restarts the guard"},
	{Name: "forced-off-refused", wrong: forcedOffRefused, Rule: "R1", Sentence: "a forced call on a card without a schedule does not rotate"},
	{Name: "forced-held-refused", wrong: forcedHeldRefused, Rule: "R15", Sentence: "the guard refuses the forced call instead of only its scheduling"},
	{Name: "forced-held-moves", wrong: forcedHeldMoves, Rule: "R2", Sentence: "a forced call within the guard gets a new scheduling"},
	{Name: "forced-after-auto-moves", wrong: forcedAfterAutoMoves, Rule: "S1", Sentence: "a forced call within the guard of an automatic rotation gets a new scheduling"},
	{Name: "forced-never-moves", wrong: forcedNeverMoves, Rule: "R3", Sentence: "a forced call never gets a new scheduling"},
	{Name: "forced-keeps-phase", wrong: forcedKeepsPhase, Rule: "R3", Sentence: "a forced call moves the next slot by one interval instead of to one interval from now"},
	{Name: "auto-off-rotates", wrong: autoOffRotates, Rule: "R4", Sentence: "a timer still rotates a card whose automatic rotation is off"},
	{Name: "drift", wrong: drift, Rule: "R5", Sentence: "the next slot is counted from when the rotation ran, so each late rotation moves the phase"},
	{Name: "catch-up-flood", wrong: catchUpFlood, Rule: "R17", Sentence: "after an outage, the missed slots are caught up one by one"},
	{Name: "next-not-after", wrong: nextNotAfter, Rule: "R18", Sentence: "a rotation that runs exactly at a later slot leaves that slot as the next one"},
	{Name: "due-exclusive", wrong: dueExclusive, Rule: "R5", Sentence: "an automatic rotation exactly at its slot does not count as due"},
	{Name: "held-auto-schedules", wrong: heldAutoSchedules, Rule: "R6", Sentence: "an automatic rotation within the guard gets a new scheduling"},
	{Name: "held-auto-stays", wrong: heldAutoStays, Rule: "R6", Sentence: "an automatic rotation within the guard leaves its own slot as the next one"},
	{Name: "held-auto-skips", wrong: heldAutoSkips, Rule: "R6", Sentence: "an automatic rotation within the guard skips a slot that is still ahead"},
	{Name: "hundred-missed", wrong: hundredMissed, Rule: "R17", Sentence: "a card that has missed more than 100 slots never rotates again"},
	{Name: "own-timer-ignored", wrong: ownTimerIgnored, Rule: "R7", Sentence: "the host's own timer, ahead of the slot, is ignored"},
	{Name: "own-timer-keeps-phase", wrong: ownTimerKeepsPhase, Rule: "R7", Sentence: "the host's own timer, ahead of the slot, does not restart the schedule"},
	{Name: "first-ignored", wrong: firstIgnored, Rule: "R8", Sentence: "the first slot that a caller chooses is ignored"},
	{Name: "first-at-now", wrong: firstAtNow, Rule: "R22", Sentence: "a first slot at the instant of the call itself is accepted"},
	{Name: "first-at-end-refused", wrong: firstAtEndRefused, Rule: "R22", Sentence: "a first slot a whole interval ahead is refused"},
	{Name: "interval-of-guard", wrong: intervalOfGuard, Rule: "R22", Sentence: "an interval as short as the guard is accepted"},
	{Name: "interval-retroactive", wrong: intervalRetroactive, Rule: "R8", Sentence: "a new interval is counted from the last slot, which may lie in the past"},
	{Name: "unchanged-reschedules", wrong: unchangedReschedules, Rule: "R9", Sentence: "setting the interval in force restarts the schedule"},
	{Name: "unchanged-drops-due", wrong: unchangedDropsDue, Rule: "R9", Sentence: "setting the interval in force drops an overdue slot"},
	{Name: "disable-keeps-interval", wrong: disableKeepsInterval, Rule: "R10", Sentence: "turning rotation off keeps the interval"},
	{Name: "disable-forgets-served", wrong: disableForgetsServed, Rule: "R12", Sentence: "turning rotation off forgets which slots were served"},
	{Name: "early-rotates", wrong: earlyRotates, Rule: "R11", Sentence: "a timer that fires before its slot rotates"},
	{Name: "on-time-is-early", wrong: onTimeIsEarly, Rule: "R11", Sentence: "a timer that fires exactly at its slot counts as early"},
	{Name: "duplicate-rotates", wrong: duplicateRotates, Rule: "R12", Sentence: "a served slot is not recognised when it is delivered again"},
	{Name: "duplicate-exclusive", wrong: duplicateExclusive, Rule: "R12", Sentence: "the newest slot served is not recognised when it is delivered again"},
	{Name: "superseded-rotates", wrong: supersededRotates, Rule: "R13", Sentence: "a timer for a slot that is no longer next rotates"},
	{Name: "in-flight-dropped", wrong: inFlightDropped, Rule: "R14", Sentence: "a timer that was in flight when a forced call moved the schedule is dropped (S2)"},
	{Name: "order-duplicate-early", wrong: orderDuplicateEarly, Rule: "R11", Sentence: "R12 is checked before R11"},
	{Name: "order-superseded-duplicate", wrong: orderSupersededDuplicate, Rule: "R12", Sentence: "R13 is checked before R12"},
	{Name: "order-in-flight-duplicate", wrong: orderInFlightDuplicate, Rule: "R12", Sentence: "R14 is checked before R12"},
	{Name: "missed-off-by-one", wrong: missedOffByOne, Rule: "R17", Sentence: "the slot that the late rotation serves counts as missed"},
	{Name: "missed-lost-by-guard", wrong: missedLostByGuard, Rule: "R17", Sentence: "within the guard, missed slots are not counted"},
	{Name: "served-own-slot-only", wrong: servedOwnSlotOnly, Rule: "R19", Sentence: "a late rotation serves only the slot it names, not those it skips"},
	{Name: "served-last-wins", wrong: servedLastWins, Rule: "R19", Sentence: "serving an older slot replaces the newest slot served"},
	{Name: "served-forgotten", wrong: servedForgotten, Rule: "R19", Sentence: "no slot is recorded as served"},
	{Name: "scenario-swapped", wrong: scenarioSwapped, Rule: "R21", Sentence: "scenarios 1 and 2 are swapped"},
	{Name: "scenario-of-interval", wrong: scenarioOfInterval, Rule: "R21", Sentence: "the scenario treats a new interval as a forced rotation"},
	{Name: "year-1969", wrong: year1969, Rule: "R22", Sentence: "the last day of 1969 is accepted as an instant"},
	{Name: "answer-from-now", wrong: answerFromNow, Rule: "R2", Sentence: "the answer's next slot is counted from now instead of taken from the schedule"},
	{Name: "stored-without-guard", wrong: storedWithoutGuard, Rule: "duty 3", Sentence: "the guard's start is not stored"},
	{Name: "stored-without-served", wrong: storedWithoutServed, Rule: "duty 3", Sentence: "the newest slot served is not stored"},
	{Name: "stored-in-seconds", wrong: storedInSeconds, Rule: "duty 3", Sentence: "instants are stored in whole seconds"},

	{Name: "host-reply-before-persist", host: hostReplyBeforePersist, Rule: "duty 3", Sentence: "the host answers before it stores, and crashes in between"},
	{Name: "host-persists-auto-only", host: hostPersistsAutoOnly, Rule: "duty 3", Sentence: "the change of a forced call stays in memory until the next automatic rotation"},
	{Name: "host-cached-state", host: hostCachedState, Rule: "duty 1", Sentence: "a node uses its cached copy of a card after another node changed the card"},
	{Name: "host-restart-resets-timer", host: hostRestartResetsTimer, Rule: "duty 4", Sentence: "after a restart, timers run for a whole interval again"},
	{Name: "host-skips-overdue", host: hostSkipsOverdue, Rule: "duty 4", Sentence: "after a restart, only slots still ahead get a timer"},
	{Name: "host-forgets-lost", host: hostForgetsLost, Rule: "duty 4", Sentence: "a restarted node does not arm its timers again"},
	{Name: "host-drops-early", host: hostDropsEarly, Rule: "duty 4", Sentence: "a timer that fired before its slot is not armed again"},
	{Name: "host-stalls-on-failure", host: hostStallsOnFailure, Rule: "duty 4", Sentence: "one card that always fails blocks the timers of all others"},
	{Name: "host-unnamed-timers", host: hostUnnamedTimers, Rule: "duty 4", Sentence: "timers do not name the slot that they were armed for"},
}

// A Peer is a bug that another scheduler has had, with the bugs of this package
// that are of the same making: they must stay caught.
type Peer struct {
	Where    string   // the project and its issue
	Sentence string   // what went wrong there
	Bugs     []string // names of Bugs
}

// Peers returns the peers' bugs.
func Peers() []Peer { return peers }

var peers = []Peer{
	{"vault#31918", "time to live computed from now, so that consumers synced the old secret", []string{"answer-from-now"}},
	{"vault#29537", "a correction only in memory: a restart rotated everything", []string{"host-persists-auto-only", "host-reply-before-persist"}},
	{"vault#18738", "no way to set the first slot: two roles fired together", []string{"first-ignored"}},
	{"kubernetes#42649", "more than 100 missed starts: never ran again", []string{"hundred-missed"}},
	{"kubernetes#63371", "editing a schedule fired retroactively", []string{"interval-retroactive"}},
	{"robfig/cron#26", "a clock that jumped by one hour: 720 runs", []string{"catch-up-flood"}},
	{"river#1035", "a flood of runs to catch up after two weeks off", []string{"catch-up-flood"}},
	{"temporal#4866", "an update that changed nothing dropped a due run", []string{"unchanged-drops-due", "unchanged-reschedules"}},
	{"systemd#13513", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"pg_cron#105", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"gocron#438", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"cert-manager#4539", "a back-off blocked a manual renewal", []string{"forced-held-refused", "forced-off-refused"}},
	{"quartz#107", "one trigger fired twice (ABA)", []string{"duplicate-rotates", "order-in-flight-duplicate", "host-unnamed-timers"}},
	{"river#791", "restarts restart the timer: a weekly job never runs", []string{"host-restart-resets-timer"}},
	{"asynq#798", "restarts restart the timer: a weekly job never runs", []string{"host-restart-resets-timer"}},
	{"vault (code)", "the next run computed from the finish time drifts every cycle", []string{"drift"}},
	{"vault (code)", "one failing item stalls the whole queue", []string{"host-stalls-on-failure"}},
}
