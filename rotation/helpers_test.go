package rotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
	"cvvrotation/sim/must"
)

const (
	ns  = time.Nanosecond
	day = 24 * time.Hour
	G   = rotation.DefaultGuard
)

// start is 3 PM on some day; the tests' instants are distances from it.
var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// step is an event and all that must follow from it, as show spells it.
type step struct {
	event rotation.Event
	want  string
}

// run applies the steps one after the other, compares each with what it wants
// and returns the state after the last.
func run(t *testing.T, rules rotation.Rules, s rotation.State, steps ...step) rotation.State {
	t.Helper()
	for i, step := range steps {
		after, d, err := rules.Decide(s, step.event)
		if err != nil && (after != s || d != rotation.Decision{}) {
			t.Errorf("step %d: an error came with %v, %v instead of the state unchanged", i, after, d)
		}
		if got := show(after, d, err); got != step.want {
			t.Errorf("step %d, %v at %s:\n got %s\nwant %s", i, step.event.Kind(), offset(step.event.At()), got, step.want)
		}
		s = after
	}
	return s
}

// show spells a decision and the state after it in one line, such as
//
//	R3 scheduled, rotate, reschedule; every 24h, next +48h, guard forced +24h, served +24h
//
// What is not so is left out. A refused event is "refused" and the field.
func show(s rotation.State, d rotation.Decision, err error) string {
	if err != nil {
		var refused *rotation.EventError
		if !errors.As(err, &refused) {
			return "an error that is no EventError: " + err.Error()
		}
		return "refused " + refused.Field
	}
	var b strings.Builder
	b.WriteString(d.String())
	if d.Rotate() {
		b.WriteString(", rotate")
	}
	if d.Reschedule() {
		b.WriteString(", reschedule")
	}
	b.WriteString("; ")
	b.WriteString(showState(s))
	return b.String()
}

func showState(s rotation.State) string {
	parts := []string{"off"}
	if s.Interval() != 0 {
		parts[0] = "every " + rotation.FormatDuration(s.Interval())
	}
	if next, ok := s.Next(); ok {
		parts = append(parts, "next "+offset(next))
	}
	if since, by, ok := s.Guard(); ok {
		parts = append(parts, fmt.Sprintf("guard %v %s", by, offset(since)))
	}
	if served, ok := s.Served(); ok {
		parts = append(parts, "served "+offset(served))
	}
	return strings.Join(parts, ", ")
}

// offset is an instant's distance from start, such as +24h or -1ns.
func offset(t time.Time) string {
	s := rotation.FormatDuration(t.Sub(start))
	if !strings.HasPrefix(s, "-") {
		s = "+" + s
	}
	return s
}

// newRules is NewRules for settings known to be good.
func newRules(t testing.TB, guard time.Duration, from rotation.GuardFrom) rotation.Rules {
	t.Helper()
	return must.Get(rotation.NewRules(guard, from))(t)
}

// after returns the state that the events lead to from the zero state.
func after(t testing.TB, rules rotation.Rules, events ...rotation.Event) (s rotation.State) {
	t.Helper()
	for _, e := range events {
		var err error
		if s, _, err = rules.Decide(s, e); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// view returns what the accessors say of s, in the model's words.
func view(s rotation.State) model.State {
	v := model.State{Interval: s.Interval()}
	v.Next.Time, v.Next.OK = s.Next()
	var by rotation.Kind
	v.GuardStart.Time, by, v.GuardStart.OK = s.Guard()
	if v.GuardStart.OK {
		v.GuardKind = by.String()
	}
	v.Served.Time, v.Served.OK = s.Served()
	return v
}

// real returns the model's event as an event of the real package.
func real(e model.Event) rotation.Event {
	switch e.Kind {
	case model.Forced:
		return rotation.Forced(e.At)
	case model.Auto:
		if e.Slot.OK {
			return rotation.AutoSlot(e.At, e.Slot.Time)
		}
		return rotation.AutoUnslotted(e.At)
	case model.SetInterval:
		if e.First.OK {
			return rotation.SetIntervalFirst(e.At, e.Interval, e.First.Time)
		}
		return rotation.SetInterval(e.At, e.Interval)
	case model.Disable:
		return rotation.Disable(e.At)
	}
	return rotation.Event{}
}

// realRules returns the model's rules as rules of the real package.
func realRules(t testing.TB, rules model.Rules) rotation.Rules {
	t.Helper()
	from := rotation.GuardFromRequest
	if rules.FromScheduling {
		from = rotation.GuardFromScheduling
	}
	return newRules(t, rules.Guard, from)
}
