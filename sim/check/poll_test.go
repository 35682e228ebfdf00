package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// defaultRules are those of a system that cannot be had with other ones.
type defaultRules struct{}

func (defaultRules) Rules() rotation.Rules { return rotation.Rules{} }

// poller is a service whose column rounds the next slot, and which applies an event of
// its own to each card that it finds.
type poller struct {
	defaultRules
	column func(time.Time) time.Time
	event  func(s rotation.State, now, column time.Time) (rotation.Event, bool)
}

type pollerCard struct {
	rulesCard
	poller
}

func (p poller) NewCard() Card { return &pollerCard{poller: p} }

func (c *pollerCard) Apply(e Event) Outcome {
	if e.Kind == rotation.KindAuto {
		return Outcome{Err: "an automatic event that is no poll"}
	}
	return c.rulesCard.Apply(e)
}

func (c *pollerCard) Poll(now int64) func() (Outcome, bool) {
	at := time.Unix(0, now)
	next, on := c.state.Next()
	column := c.column(next)
	if !on || column.After(at) {
		return nil
	}
	return func() (Outcome, bool) {
		e, due := c.event(c.state, at, column)
		if !due {
			return Outcome{}, false
		}
		state, d, err := c.rules.Decide(c.state, e)
		c.state = state
		return OutcomeOf(d, state, err), true
	}
}

func TestPoller_WrongOnesAreFound(t *testing.T) {
	columns := map[string]func(time.Time) time.Time{
		"nanoseconds":       func(at time.Time) time.Time { return at },
		"microseconds":      func(at time.Time) time.Time { return at.Round(time.Microsecond) },
		"seconds":           func(at time.Time) time.Time { return at.Round(time.Second) },
		"truncated seconds": func(at time.Time) time.Time { return at.Truncate(time.Second) },
		"a minute late":     func(at time.Time) time.Time { return at.Add(time.Minute) },
	}
	due := func(s rotation.State, now, _ time.Time) (rotation.Event, bool) { return s.Due(now) }
	for _, test := range []struct {
		name, column string
		event        func(rotation.State, time.Time, time.Time) (rotation.Event, bool)
		want         string // in the explanation; empty if the poller is right
	}{
		{"right", "nanoseconds", due, ""},
		{"right", "microseconds", due, ""},
		{"right", "seconds", due, ""},
		{"right", "truncated seconds", due, ""},
		{"slot of the column", "microseconds", func(_ rotation.State, now, column time.Time) (rotation.Event, bool) {
			return rotation.AutoSlot(now, column), true
		}, "Apply what State.Due returns"},
		{"slot of the column", "truncated seconds", func(_ rotation.State, now, column time.Time) (rotation.Event, bool) {
			return rotation.AutoSlot(now, column), true
		}, "Apply what State.Due returns"},
		{"no slot", "nanoseconds", func(_ rotation.State, now, _ time.Time) (rotation.Event, bool) {
			return rotation.AutoUnslotted(now), true
		}, "Then another poller rotated the card again"},
		{"never acts", "nanoseconds", func(rotation.State, time.Time, time.Time) (rotation.Event, bool) {
			return rotation.Event{}, false
		}, "overlooked a card that was due"},
		{"right", "a minute late", due, "overlooked a card that was due"},
		{"fails", "nanoseconds", func(_ rotation.State, now, _ time.Time) (rotation.Event, bool) {
			return rotation.Event{}, true
		}, "refused"},
	} {
		t.Run(test.name+", "+test.column, func(t *testing.T) {
			p := poller{column: columns[test.column], event: test.event}
			for search, f := range map[string]*Failure{
				"sequences": Sequences(context.Background(), p, 3).Failure,
				"campaign":  Campaign(p, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 300}).Failure,
			} {
				switch {
				case f == nil && test.want != "":
					t.Errorf("%s: not found", search)
				case f != nil && (test.want == "" || !strings.Contains(f.Paragraph(), test.want) || len(f.Events) > 4):
					t.Errorf("%s, %d events: %s", search, len(f.Events), f.Paragraph())
				}
			}
		})
	}
}

// stores is the rules with another stored form.
type stores struct {
	defaultRules
	form form
}

type storesCard struct {
	rulesCard
	form form
}

func (s stores) NewCard() Card                     { return &storesCard{form: s.form} }
func (c *storesCard) AppendStored(b []byte) []byte { return c.form.appendStored(b, c.View()) }
func (c *storesCard) Restore(stored []byte) error  { return c.state.Scan(stored) }

// opaque is a system with a stored form of its own.
type opaque struct{ System }

type opaqueCard struct{ Card }

func (o opaque) NewCard() Card                  { return opaqueCard{o.System.NewCard()} }
func (opaqueCard) AppendStored(b []byte) []byte { return append(b, "columns"...) }

func TestClosure_VisitsSystemsOfEachStoredForm(t *testing.T) {
	for name, form := range map[string]form{"binary": formBinary, "text": formText, "JSON": formJSON} {
		t.Run(name, func(t *testing.T) {
			x := newExplorer(SmallClosure(stores{form: form}))
			x.explore(0, relative{})
			x.explore(0, relative{interval: 5, kind: rotation.KindForced, guard: -1, hasServed: true, served: -5})
			if x.form != form || x.failure != nil || len(x.found) < 10 {
				t.Errorf("form %d, %d states, failure %v", x.form, len(x.found), x.failure)
			}
		})
	}
	if r := SmallClosure(opaque{theRules}).Run(context.Background()); r.States != 0 || r.Closed || r.Failure != nil {
		t.Errorf("of an unknown form: %+v", r)
	}
}

func TestOutcomeOf_TellsRefusalsFromErrors(t *testing.T) {
	state, d, _ := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(time.Unix(0, startOfRuns), time.Hour))
	_, _, refused := rotation.Rules{}.Decide(state, rotation.Forced(time.Time{}))
	next := startOfRuns + int64(time.Hour)
	for _, test := range []struct {
		err  error
		want Outcome
	}{
		{nil, Outcome{Rule: rotation.R8, Reason: rotation.ReasonIntervalSet, Rescheduled: true, Next: next}},
		{fmt.Errorf("card A: %w", refused), Outcome{Refused: RefusedInstant, Next: next}},
		{errors.New("no connection"), Outcome{Err: "no connection", Next: next}},
	} {
		t.Run(test.want.String(), func(t *testing.T) {
			if got := OutcomeOf(d, state, test.err); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestClosure_ClosesWithPolls(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	p := poller{
		column: func(at time.Time) time.Time { return at.Round(time.Second) },
		event:  func(s rotation.State, now, _ time.Time) (rotation.Event, bool) { return s.Due(now) },
	}
	r := SmallClosure(p).Run(context.Background())
	r.Elapsed = 0
	if want := (ClosureResult{States: 779, Transitions: 955_738, Rounds: 17, Closed: true}); r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}
