package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"

	"pgregory.net/rapid"
)

func TestDue_ReturnsAutoSlotWhenNextHasCome(t *testing.T) {
	on := after(t, rules, setInterval(-day, day)) // next is start
	for _, test := range []struct {
		name string
		s    rotation.State
		now  time.Time
		want rotation.Event
		due  bool
	}{
		{"automatic rotation is off", rotation.State{}, at(0), rotation.Event{}, false},
		{"turned off again", after(t, rules, setInterval(-day, day), disable(0)), at(day), rotation.Event{}, false},
		{"a nanosecond before the slot", on, at(-ns), rotation.Event{}, false},
		{"at the slot", on, at(0), autoSlot(0, 0), true},
		{"days after the slot", on, at(9 * day), autoSlot(9*day, 0), true},
		{"another zone", on, at(0).In(time.FixedZone("", 3600)), autoSlot(0, 0), true},
		{"the zero time, which is before every slot", on, time.Time{}, rotation.Event{}, false},
		{"after the year 2200, which Decide refuses", on, time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC),
			rotation.AutoSlot(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), at(0)), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if e, due := test.s.Due(test.now); e != test.want || due != test.due {
				t.Errorf("Due = %v, %v, want %v, %v", e, due, test.want, test.due)
			}
		})
	}
}

// SPEC 5: what Due returns rotates once, and afterwards Next is ahead; what is
// missed is counted, and no slot is served twice.
func TestDue_RotatesOnceAndLeavesNextAhead(t *testing.T) {
	generator := anything.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		timeline := generator.Draw(t, "timeline")
		for _, m := range timeline.moves {
			next, on := m.after.Next()
			if m.err != nil || !on {
				continue
			}
			now := next.Add(time.Duration(rapid.Int64Range(0, int64(100*day)).Draw(t, "late")))
			if now.Year() > 2200 {
				continue // which Decide refuses
			}
			e, due := m.after.Due(now)
			if !due {
				t.Fatalf("not due at %v, %v after its slot", now, now.Sub(next))
			}
			polled, d, err := timeline.rules.Decide(m.after, e)
			if err != nil || !d.Rotate() {
				t.Fatalf("%v, %v: an overdue card did not rotate", d, err)
			}
			if want := int64(now.Sub(next) / m.after.Interval()); d.Missed != want {
				t.Fatalf("%d slots missed, want %d", d.Missed, want)
			}
			if after, _ := polled.Next(); !after.After(now) {
				t.Fatalf("next %v is not after %v", after, now)
			}
			if _, again := polled.Due(now); again {
				t.Fatal("due twice")
			}
		}
	})
}
