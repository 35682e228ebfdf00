package fleet

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// Timeline yields the events of a forecast that was recorded (Options.Record),
// in order of time: the cards' enrolment, then automatic rotations, each naming
// its slot, and forced calls. Of events at one instant, automatic ones come
// first, then the order is by card. It yields nothing when nothing was
// recorded.
func (f *Forecast) Timeline() iter.Seq[timeline.Entry] {
	return func(yield func(timeline.Entry) bool) {
		if !f.Options.Record {
			return
		}
		p, err := fleet{f.Cards, f.Days, f.Options}.plan()
		if err != nil {
			return // a forecast's own options are valid
		}
		digits := len(fmt.Sprint(p.Cards - 1))
		name := func(id int64) string { return fmt.Sprintf("card-%0*d", digits, id) }
		for _, g := range p.groups {
			for id := g.first; id < g.first+g.cards; id++ {
				e := rotation.SetInterval(p.Start, time.Duration(g.interval))
				if g.spread > 0 {
					e = rotation.SetIntervalFirst(p.Start, time.Duration(g.interval), p.at(p.firstSlot(&g, id)))
				}
				if !yield(timeline.Entry{Card: name(id), Event: e}) {
					return
				}
			}
		}
		for _, r := range f.records {
			e := rotation.Forced(p.at(r.at))
			if r.slot > 0 {
				e = rotation.AutoSlot(p.at(r.at), p.at(r.slot))
			}
			if !yield(timeline.Entry{Card: name(int64(r.card)), Event: e}) {
				return
			}
		}
	}
}

// WriteTimeline writes the events of Timeline as JSON Lines.
func (f *Forecast) WriteTimeline(w io.Writer) error {
	out := timeline.NewWriter(w, timeline.SpellingJSONL, f.Options.Rules)
	for e := range f.Timeline() {
		if err := out.Write(e); err != nil {
			return err
		}
	}
	return nil
}

// sortRecords puts the records into the order of Timeline. The sort is stable:
// one card's records are in order already.
func sortRecords(records []record) {
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(
			cmp.Compare(a.at, b.at),
			cmp.Compare(min(b.slot, 1), min(a.slot, 1)),
			cmp.Compare(a.card, b.card),
		)
	})
}
