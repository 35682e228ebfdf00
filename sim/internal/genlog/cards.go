package main

import (
	"slices"
	"time"

	"cvvrotation/sim"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

const guard = 2 * time.Minute

// record is an event with the decision that a system made on it.
type record struct {
	card  string
	event model.Event
	model.Outcome
	interval time.Duration // in force afterwards
	number   int64         // among the card's changes, from 1; 0: nothing changed
	wrong    sim.Mistake   // why the rules decide something else in the card's state; 0: they don't
}

// system is one card in the system that writes the log.
type system struct {
	random splitmix.Stream
	card   string
	state  model.State
	fault  sim.Mistake // 0: none
	from   time.Time   // the fault shows from here on
	done   bool        // a fault that shows once has shown
	number int64
	log    []record
}

// live lets the card live from start to end, until a fault that it has has shown.
func (s *system) live(start, end time.Time) {
	for shown := false; !shown; {
		s.state, s.done, s.number, s.log = model.State{}, false, 0, nil
		s.liveOnce(start, end)
		shown = s.fault == 0 || slices.ContainsFunc(s.log, func(r record) bool { return r.wrong != 0 })
	}
}

func (s *system) liveOnce(start, end time.Time) {
	interval := time.Duration(splitmix.Pick(&s.random, 1, 6, 24, 24)) * time.Hour
	now := start.Add(time.Duration(s.random.Below(int64(12 * time.Hour))))
	s.apply(model.Event{Kind: model.SetInterval, At: now, Interval: interval})
	forced := now.Add(s.pause())
	for {
		slot := s.state.Next.Time
		due := slot.Add(time.Duration(s.random.Below(int64(3 * time.Second))))
		switch active := !due.Before(s.from) && !s.done; {
		case active && s.fault == sim.MistakeServedEarly:
			due = slot.Add(-5 * time.Second)
		case active && s.fault == sim.MistakeLostSlot:
			slot, due = slot.Add(s.state.Interval), due.Add(s.state.Interval)
		}
		if now = due; forced.Before(due) {
			now = forced
		}
		if !now.Before(end) {
			return
		}
		if now.Equal(forced) {
			s.apply(model.Event{Kind: model.Forced, At: now})
			forced = now.Add(s.pause())
			continue
		}
		s.apply(model.Event{Kind: model.Auto, At: now, Slot: model.At(slot)})
		if s.fault == sim.MistakeServedTwice && !now.Before(s.from) && !s.done {
			s.done = true
			s.apply(model.Event{Kind: model.Auto, At: now.Add(2 * time.Second), Slot: model.At(slot)})
		}
		if s.fault == 0 && s.random.Below(12) == 0 && forced.After(now.Add(time.Hour)) {
			// A new interval, and then a slot from before it once more: a log that begins
			// in between looks as if the card were new.
			s.apply(model.Event{Kind: model.SetInterval, At: now.Add(5 * time.Minute), Interval: 25*time.Hour - s.state.Interval})
			s.apply(model.Event{Kind: model.Auto, At: now.Add(20 * time.Minute), Slot: model.At(slot)})
			continue
		}
		if s.random.Below(20) == 0 { // S1, and for the guards' faults its edge
			forced = now.Add(time.Duration(s.random.Below(int64(guard))))
		}
		if s.fault == sim.MistakeInclusiveGuard && !now.Before(s.from) {
			forced = now.Add(guard)
		}
		if s.fault == sim.MistakeGuard && !now.Before(s.from) {
			forced = now.Add(90 * time.Second)
		}
	}
}

// pause is the time until the next forced call; some come in bursts.
func (s *system) pause() time.Duration {
	if s.random.Below(4) == 0 {
		return time.Duration(s.random.Below(int64(3 * time.Minute)))
	}
	return time.Duration(s.random.Below(int64(72 * time.Hour)))
}

// apply decides an event by the rules, or by the fault, and records it.
func (s *system) apply(e model.Event) {
	right, after := decide(guard, s.state, e)
	got := right
	if s.fault != 0 && !e.At.Before(s.from) {
		got, after = s.decideWrong(e, right, after)
	}
	r := record{card: s.card, event: e, Outcome: got, interval: after.Interval}
	if got != right {
		r.wrong = s.fault
	}
	if got.Rotate || got.Reason == model.IntervalSet {
		s.number++
		r.number = s.number
	}
	s.log, s.state = append(s.log, r), after
}

func decide(guard time.Duration, s model.State, e model.Event) (model.Outcome, model.State) {
	c, err := model.Resume(model.Rules{Guard: guard}, s)
	if err != nil {
		panic(err)
	}
	o, err := c.Step(e)
	if err != nil {
		panic(err)
	}
	o.Rule = ""
	return o, c.State()
}

// decideWrong returns what the faulty system decides, where the rules decide right.
func (s *system) decideWrong(e model.Event, right model.Outcome, after model.State) (model.Outcome, model.State) {
	serve := func(next time.Time, reason string, reschedule bool) (model.Outcome, model.State) {
		after.Next, after.GuardStart, after.GuardKind, after.Served = model.At(next), model.At(e.At), e.Kind, e.Slot
		return model.Outcome{Rotate: true, Reschedule: reschedule, Reason: reason, Next: after.Next}, after
	}
	move := func(next time.Time) (model.Outcome, model.State) {
		right.Next, after.Next = model.At(next), model.At(next)
		return right, after
	}
	auto := e.Kind == model.Auto
	switch {
	case s.fault == sim.MistakeInclusiveGuard:
		return decide(guard+1, s.state, e)
	case s.fault == sim.MistakeGuard:
		return decide(time.Minute, s.state, e)
	case s.fault == sim.MistakeDrift && auto && right.Reason == model.Scheduled:
		return move(e.At.Add(s.state.Interval))
	case s.fault == sim.MistakeLostPrecision && right.Reschedule:
		return move(right.Next.Time.Round(time.Second))
	case s.fault == sim.MistakeClockStep && e.Kind == model.Forced && right.Reschedule && !s.done:
		s.done = true
		return move(right.Next.Time.Add(37 * time.Minute))
	case s.fault == sim.MistakeServedEarly && right.Reason == model.NotDue,
		s.fault == sim.MistakeLostSlot && right.Reason == model.Superseded:
		s.done = true
		return serve(e.Slot.Time.Add(s.state.Interval), model.Scheduled, true)
	case s.fault == sim.MistakeServedTwice && right.Reason == model.Duplicate:
		return serve(s.state.Next.Time, model.Guard, false)
	}
	return right, after
}
