package check

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// adapter is the rules behind an adapter that may make a mistake.
type adapter struct {
	guard   time.Duration                       // that it reports, less than the rules' own
	answer  func(call int64, o Outcome) Outcome // calls count from 1; nil: right
	restore func([]byte) error                  // nil: right
	calls   atomic.Int64
}

type adaptedCard struct {
	rulesCard
	adapter *adapter
}

func (a *adapter) Rules() rotation.Rules {
	r, _ := rotation.NewRules(rotation.DefaultGuard-a.guard, rotation.GuardFromRequest)
	return r
}
func (a *adapter) NewCard() Card { return &adaptedCard{adapter: a} }

func (c *adaptedCard) Apply(e Event) Outcome {
	o := c.rulesCard.Apply(e)
	if call := c.adapter.calls.Add(1); c.adapter.answer != nil {
		o = c.adapter.answer(call, o)
	}
	return o
}

func (c *adaptedCard) Restore(b []byte) error {
	if c.adapter.restore != nil {
		return c.adapter.restore(b)
	}
	return c.rulesCard.Restore(b)
}

// columnForgotten is a poller whose Restore does not write the column.
type columnForgotten struct{ poller }

type columnForgottenCard struct {
	pollerCard
	nextAt time.Time
}

func (f columnForgotten) NewCard() Card {
	c := new(columnForgottenCard)
	c.poller = poller{
		column: func(time.Time) time.Time { return c.nextAt },
		event:  func(s rotation.State, now, _ time.Time) (rotation.Event, bool) { return s.Due(now) },
	}
	return c
}

func (c *columnForgottenCard) Apply(e Event) Outcome {
	o := c.pollerCard.Apply(e)
	c.nextAt, _ = c.state.Next()
	return o
}

func (c *columnForgottenCard) Poll(now int64) func() (Outcome, bool) {
	act := c.pollerCard.Poll(now)
	if act == nil {
		return nil
	}
	return func() (Outcome, bool) {
		defer func() { c.nextAt, _ = c.state.Next() }()
		return act()
	}
}

// A mistake of an adapter is explained, also where the same events on a new card do
// not fail again.
func TestParagraph_ExplainsMistakesOfAdapters(t *testing.T) {
	const once = "It failed once: the same events on a new card break nothing. Does Restore write all that AppendStored and the poller's query read?"
	at100 := func(wrong func(Outcome) Outcome) func(int64, Outcome) Outcome {
		return func(call int64, o Outcome) Outcome {
			if call == 100 {
				return wrong(o)
			}
			return o
		}
	}
	for _, test := range []struct {
		name     string
		system   func() System
		want     []string
		campaign bool // the simulation explains it alike
	}{
		{"Restore does nothing", func() System { return &adapter{restore: func([]byte) error { return nil }} },
			[]string{"Restore must write all that View reads.", once}, false},
		{"Restore forgets the polled column", func() System { return columnForgotten{} },
			[]string{"The poller overlooked a card that was due", once}, false},
		{"Restore fails", func() System { return &adapter{restore: func([]byte) error { return errors.New("no column next_at") }} },
			[]string{"loses nothing. Restore failed: no column next_at."}, true},
		{"one wrong answer", func() System {
			return &adapter{answer: at100(func(o Outcome) Outcome { o.Rotated = !o.Rotated; return o })}
		}, []string{once}, true},
		{"one lost connection", func() System {
			return &adapter{answer: at100(func(Outcome) Outcome { return Outcome{Err: "connection reset"} })}
		}, []string{"an error: connection reset.", once}, true},
		{"no answer", func() System { return &adapter{answer: func(int64, Outcome) Outcome { return Outcome{} }} },
			[]string{"reason none,", "the reason is none and must be", "the rule is none and must be"}, true},
		{"a shorter guard reported", func() System { return &adapter{guard: 1} },
			[]string{"is the service's guard the 1m59.999999999s of Rules?"}, false},
		{"a longer guard reported", func() System { return &adapter{guard: -1} },
			[]string{"is the service's guard the 2m0.000000001s of Rules?"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			failures := []*Failure{Sequences(context.Background(), test.system(), 3).Failure}
			if test.campaign {
				failures = append(failures, Campaign(test.system(), Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 20}).Failure)
			}
			for i, f := range failures {
				if f == nil {
					t.Fatal("not found, by search", i)
				}
				for _, want := range test.want {
					if p := f.Paragraph(); !strings.Contains(p, want) || f.Once != strings.Contains(p, once) {
						t.Errorf("search %d: want %q: %s", i, want, p)
					}
				}
			}
		})
	}
}
