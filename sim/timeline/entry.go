package timeline

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// Entry is one event of a timeline.
type Entry struct {
	Line        int              // the line it was read from, from 1; 0 when it was not read
	Card        string           // the card that it happened to; never empty
	Event       rotation.Event   // what happened, and when
	ServiceCode servicecode.Code // what a forced call asked for; the zero Code when nothing
	Expect      Expect           // what is expected of it
	Number      int64            // number among the card's events in the daemon's log: 1, 2, 3 …; 0: none
}

// Expect is what an entry says of its decision, a field at a time: the zero
// value expects nothing.
type Expect struct {
	Fields     Field // which of the fields below are set
	Rotate     bool
	Reschedule bool
	Reason     rotation.Reason
	Scenario   int64
	Missed     int64
	Next       time.Time     // UTC; the zero time stands for none
	Interval   time.Duration // in force after the event, not for set_interval; 0: automatic rotation is off
}

// Field is a set of the fields of [Expect].
type Field uint8

// The fields of an expectation, in the order in which they are written.
const (
	FieldRotate Field = 1 << iota
	FieldReschedule
	FieldReason
	FieldScenario
	FieldMissed
	FieldNext
	FieldInterval

	// FieldAll holds those that a replay writes: all but FieldInterval.
	FieldAll = FieldRotate | FieldReschedule | FieldReason | FieldScenario | FieldMissed | FieldNext
)

// Expected returns the expectation that the decision d and the state after it
// fulfil: the fields of [FieldAll] are set, and Interval is there to be compared.
func Expected(d rotation.Decision, after rotation.State) Expect {
	next, _ := after.Next()
	return Expect{
		Fields:     FieldAll,
		Rotate:     d.Rotate(),
		Reschedule: d.Reschedule(),
		Reason:     d.Reason(),
		Scenario:   int64(d.Scenario),
		Missed:     d.Missed,
		Next:       next,
		Interval:   after.Interval(),
	}
}

// Difference is a field in which an outcome is not what was expected, both as
// the text spelling has them.
type Difference struct {
	Field     string // rotate, reschedule, reason, scenario, missed, next or interval
	Want, Got string
}

// Differences compares what is expected with the outcome that [Expected]
// returned. Fields that x does not set are not compared.
func (x Expect) Differences(outcome Expect) []Difference {
	var diffs []Difference
	compare := func(f Field, name string, equal bool, want, got any) {
		if x.Fields&f != 0 && !equal {
			diffs = append(diffs, Difference{name, fmt.Sprint(want), fmt.Sprint(got)})
		}
	}
	compare(FieldRotate, "rotate", x.Rotate == outcome.Rotate, x.Rotate, outcome.Rotate)
	compare(FieldReschedule, "reschedule", x.Reschedule == outcome.Reschedule, x.Reschedule, outcome.Reschedule)
	compare(FieldReason, "reason", x.Reason == outcome.Reason, x.Reason, outcome.Reason)
	compare(FieldScenario, "scenario", x.Scenario == outcome.Scenario, x.Scenario, outcome.Scenario)
	compare(FieldMissed, "missed", x.Missed == outcome.Missed, x.Missed, outcome.Missed)
	compare(FieldNext, "next", x.Next.Equal(outcome.Next), formatNext(x.Next), formatNext(outcome.Next))
	compare(FieldInterval, "interval", x.Interval == outcome.Interval, formatInterval(x.Interval), formatInterval(outcome.Interval))
	return diffs
}

func formatInterval(d time.Duration) string {
	if d == 0 {
		return "null"
	}
	return rotation.FormatDuration(d)
}

func formatNext(t time.Time) string {
	if t.IsZero() {
		return "null"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// What can be wrong with a timeline; match them with [errors.Is]. An unknown
// event kind wraps rotation.ErrKind, a bad service code servicecode's error.
var (
	// ErrSyntax is a line that is neither spelling: broken JSON, a missing
	// part, a value of the wrong type, a key that is unknown, given twice, or
	// not one of the event's.
	ErrSyntax = errors.New("not a timeline entry")
	// ErrHeader is a header of an unknown version, or one that is not the
	// first line.
	ErrHeader = errors.New("bad header")
	// ErrSpelling is an entry that the text spelling has no way to write.
	ErrSpelling = errors.New("cannot be written as text: use JSON Lines")
)

// Error is a line that can't be read.
type Error struct {
	File string // as given to [NewReader]
	Line int    // from 1
	Err  error  // what is wrong
	Hint string // what users of cvvsim can do; may be empty
}

// Error returns "FILE:LINE: what is wrong".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func syntaxErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

// quoted is text from the input, made safe and short enough to print. Values
// that could be secret are never passed to it.
func quoted(text []byte) string {
	const most = 40
	s := string(text)
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}
