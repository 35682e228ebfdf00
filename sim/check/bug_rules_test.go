package check

import (
	"bytes"
	"testing"
	"time"

	"cvvrotation/rotation"

	"pgregory.net/rapid"
)

const g = int64(rotation.DefaultGuard)

// noon is where the tests' instants begin.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano()

// So each bug in the rules differs from package rotation in one thing only.
func TestTable_WithoutBugIsPackageRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		real, twin := Rules(rotation.Rules{}).NewCard(), table{guard: g}.NewCard()
		now := noon
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			e := drawEvent(t, twin.View(), now)
			if want, got := real.Apply(e), twin.Apply(e); got != want {
				t.Fatalf("%+v:\n got %+v\nwant %+v", e, got, want)
			}
			now = e.At
			if want, got := real.View(), twin.View(); got != want {
				t.Fatalf("%+v:\n got %+v\nwant %+v", e, got, want)
			}
			stored := real.AppendStored(nil)
			if got := twin.AppendStored(nil); !bytes.Equal(got, stored) {
				t.Fatalf("%+v: stored as\n%x, the rules store\n%x", e, got, stored)
			}
			if real.Restore(stored) != nil || twin.Restore(stored) != nil {
				t.Fatalf("%x can't be restored", stored)
			}
		}
	})
}

// drawEvent draws an event at or next to a boundary of v, now and then a wrong
// one.
func drawEvent(t *rapid.T, v View, now int64) Event {
	anchors := []int64{now, now, v.GuardStart, v.Next, v.Next, v.Served, 0, endOfInstants}
	near := func(label string) int64 {
		return rapid.SampledFrom(anchors).Draw(t, label) +
			rapid.SampledFrom([]int64{0, 0, g, -g, g / 2, v.Interval, -v.Interval, 7 * v.Interval, int64(time.Hour)}).Draw(t, label+" distance") +
			rapid.Int64Range(-1, 1).Draw(t, label+" ns")
	}
	e := Event{Kind: rotation.Kind(rapid.IntRange(0, 5).Draw(t, "kind")), At: near("at")}
	switch e.Kind {
	case rotation.KindAuto:
		if e.HasSlot = rapid.Bool().Draw(t, "named"); e.HasSlot {
			e.Slot = near("slot")
		}
	case rotation.KindSetInterval:
		e.Interval = rapid.SampledFrom([]int64{
			v.Interval, g - 1, g, g + 1, 3 * g, int64(time.Hour), int64(rotation.MaxInterval), int64(rotation.MaxInterval) + 1, -1,
		}).Draw(t, "interval")
		if e.HasFirst = rapid.Bool().Draw(t, "first given"); e.HasFirst {
			e.First = rapid.SampledFrom([]int64{v.Next, e.At, e.At + 1, e.At + e.Interval, e.At + e.Interval + 1, endOfInstants}).Draw(t, "first")
		}
	}
	return e
}
