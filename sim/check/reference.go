package check

import (
	"errors"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
)

// modelEvent is the event in the reference model's words.
func modelEvent(e Event) model.Event {
	m := model.Event{At: time.Unix(0, e.At), Interval: time.Duration(e.Interval)}
	switch e.Kind {
	case rotation.KindForced:
		m.Kind = model.Forced
	case rotation.KindAuto:
		m.Kind = model.Auto
	case rotation.KindSetInterval:
		m.Kind = model.SetInterval
	case rotation.KindDisable:
		m.Kind = model.Disable
	}
	if e.HasSlot {
		m.Slot = model.At(time.Unix(0, e.Slot))
	}
	if e.HasFirst {
		m.First = model.At(time.Unix(0, e.First))
	}
	return m
}

var (
	modelRules = [...]string{
		rotation.R1: "R1", rotation.R2: "R2", rotation.R3: "R3", rotation.R4: "R4", rotation.R5: "R5",
		rotation.R6: "R6", rotation.R7: "R7", rotation.R8: "R8", rotation.R9: "R9", rotation.R10: "R10",
		rotation.R11: "R11", rotation.R12: "R12", rotation.R13: "R13", rotation.R14: "R14",
	}
	modelReasons = [...]string{
		rotation.ReasonScheduled: model.Scheduled, rotation.ReasonGuard: model.Guard,
		rotation.ReasonRotationOff: model.RotationOff, rotation.ReasonIntervalSet: model.IntervalSet,
		rotation.ReasonUnchanged: model.Unchanged, rotation.ReasonNotDue: model.NotDue,
		rotation.ReasonDuplicate: model.Duplicate, rotation.ReasonSuperseded: model.Superseded,
	}
	modelKinds = [...]string{
		rotation.KindForced: model.Forced, rotation.KindAuto: model.Auto,
		rotation.KindSetInterval: model.SetInterval, rotation.KindDisable: model.Disable,
	}
	modelRefusals = [...]string{
		RefusedKind: model.BadKind, RefusedInstant: model.BadInstant,
		RefusedInterval: model.BadInterval, RefusedFirst: model.BadFirst,
	}
)

// agrees reports whether an answer and the state after it are the model's.
func agrees(want *model.Outcome, err error, state *model.State, out *Outcome, after *View) bool {
	if err != nil {
		var bad *model.Error
		return errors.As(err, &bad) && out.Refused != 0 && bad.Category == modelRefusals[out.Refused]
	}
	return out.Refused == 0 && int(out.Rule) < len(modelRules) &&
		want.Rule == modelRules[out.Rule] && want.Reason == modelReasons[out.Reason] &&
		want.Rotate == out.Rotated && want.Reschedule == out.Rescheduled &&
		want.Scenario == out.Scenario && want.Missed == out.Missed &&
		int64(state.Interval) == after.Interval && nanos(&state.Next) == after.Next &&
		nanos(&state.GuardStart) == after.GuardStart && state.GuardKind == modelKinds[after.GuardKind] &&
		nanos(&state.Served) == after.Served && state.Served.OK == after.HasServed
}

// nanos is the instant, 0 when there is none.
func nanos(i *model.Instant) int64 {
	if !i.OK {
		return 0
	}
	return i.Time.UnixNano()
}

// ViewOfModel returns what the rules remember in a state of the reference model.
func ViewOfModel(s model.State) View {
	v := View{
		Interval: int64(s.Interval), Next: nanos(&s.Next),
		GuardStart: nanos(&s.GuardStart), Served: nanos(&s.Served), HasServed: s.Served.OK,
	}
	for kind, name := range modelKinds {
		if name == s.GuardKind {
			v.GuardKind = rotation.Kind(kind)
		}
	}
	return v
}

// modelState is the inverse of ViewOfModel.
func modelState(v View) model.State {
	s := model.State{Interval: time.Duration(v.Interval), GuardKind: modelKinds[v.GuardKind]}
	if v.Interval != 0 {
		s.Next = model.At(time.Unix(0, v.Next))
	}
	if v.GuardKind != 0 {
		s.GuardStart = model.At(time.Unix(0, v.GuardStart))
	}
	if v.HasServed {
		s.Served = model.At(time.Unix(0, v.Served))
	}
	return s
}
