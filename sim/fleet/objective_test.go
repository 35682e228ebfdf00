package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// slots yields the slot of each automatic rotation and when it was served, the zero time
// if the card is overdue at the end, by the events alone. The events come from the
// recorded timeline, replayed by package rotation.
func slots(f *Forecast) iter.Seq2[time.Time, time.Time] {
	return func(yield func(slot, served time.Time) bool) {
		states := map[string]rotation.State{}
		for e := range f.Timeline() {
			if slot, named := e.Event.Slot(); named && !yield(slot, e.Event.At()) {
				return
			}
			states[e.Card], _, _ = f.Options.Rules.Decide(states[e.Card], e.Event)
		}
		for _, s := range states {
			if next, on := s.Next(); on && !next.After(f.End) && !yield(next, time.Time{}) {
				return
			}
		}
	}
}

// latenesses returns how late each automatic rotation came; a card that is overdue at the
// end counts with its wait so far.
func latenesses(f *Forecast) (late []time.Duration) {
	for slot, served := range slots(f) {
		if served.IsZero() {
			served = f.End
		}
		late = append(late, served.Sub(slot))
	}
	slices.Sort(late)
	return late
}

// timely counts the slots that had the time within before the end, and those of them that
// were served in it.
func timely(f *Forecast, within time.Duration) (judged, met int) {
	for slot, served := range slots(f) {
		if deadline := slot.Add(within); !deadline.After(f.End) {
			judged++
			if !served.IsZero() && !served.After(deadline) {
				met++
			}
		}
	}
	return judged, met
}

func recorded(t interface {
	Helper()
	Fatal(...any)
}, c fleet) *Forecast {
	c.Record = true
	return mustRun(t, c)
}

// TestLateness_AgreesWithSortedEvents: the percentiles are those of the sorted times.
func TestLateness_AgreesWithSortedEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		if c.Capacity == 0 && c.Outage.For == 0 {
			t.Skip("nothing waits")
		}
		late := latenesses(recorded(t, c))
		nearest := func(permille int) int64 {
			if len(late) == 0 {
				return 0
			}
			d := late[(len(late)*permille+999)/1000-1]
			return int64((d + time.Second - 1) / time.Second)
		}
		want := Lateness{nearest(500), nearest(900), nearest(990), nearest(999)}
		if got := mustRun(t, c).Backlog.Lateness; got != want {
			t.Errorf("%+v, want %+v of %v", got, want, late)
		}
	})
}

// TestFindCapacity_MeetsObjectiveAndNoLessDoes holds the capacity against the sorted
// times of the events, at that capacity and at one less.
func TestFindCapacity_MeetsObjectiveAndNoLessDoes(t *testing.T) {
	t.Parallel()
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		if c.Days > 1 {
			t.Skip("a search takes as long as its seconds")
		}
		c.Capacity, c.Record = 0, false
		want := Objective{
			Within: rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond, time.Second, 2500 * time.Millisecond, time.Minute}).Draw(t, "within"),
			Ratio:  rapid.SampledFrom([]float64{0.5, 0.9, 0.99, 1}).Draw(t, "ratio"),
		}
		meets := func(capacity int64) bool {
			c.Capacity = capacity
			judged, met := timely(recorded(t, c), want.Within)
			return judged > 0 && float64(met)/float64(judged) >= want.Ratio
		}
		f, err := FindCapacity(context.Background(), c.Cards, c.Days, c.Options, want)
		if err != nil {
			if refused := new(FieldError); !errors.As(err, &refused) || refused.Field != "within" || meets(MaxCapacity) {
				t.Fatalf("%v, but a capacity meets it", err)
			}
			return
		}
		capacity := f.Objective.Capacity
		if !meets(capacity) || capacity > 1 && meets(capacity-1) {
			t.Errorf("%d is not the least capacity for %+v", capacity, want)
		}
		if capacity > 1 {
			found++
		}
		c.Capacity = capacity
		f.Objective, f.ElapsedSeconds = nil, 0
		if diff := sameResults(mustRun(t, c), f); diff != "" {
			t.Errorf("a forecast at that capacity (-) and the one found (+):\n%s", diff)
		}
		c.Capacity = 0
		c.Workers = 4 - c.Workers
		again := must.Get(FindCapacity(context.Background(), c.Cards, c.Days, c.Options, want))(t)
		if diff := sameResults(f, again); again.Objective.Capacity != capacity || diff != "" && !cmp.Equal(f.PerMinute, again.PerMinute) {
			t.Errorf("other workers find %d, not %d\n%s", again.Objective.Capacity, capacity, diff)
		}
	})
	if found < 5 {
		t.Errorf("only %d of the fleets need more than one rotation a second", found)
	}
}

// TestFindCapacity_AgreesWithClosedForm: n cards that are all due at once, hourly, and
// a capacity of c rotate c(x+1) of them within x seconds. The slot at the end is judged
// only if it has no time.
func TestFindCapacity_AgreesWithClosedForm(t *testing.T) {
	for _, n := range []int64{1, 7, 100, 1000, 12345} {
		for _, seconds := range []int64{0, 1, 2, 59} {
			for _, ratio := range []float64{0.5, 0.9, 0.99, 1} {
				t.Run(fmt.Sprint(n, " ", seconds, " ", ratio), func(t *testing.T) {
					o := Options{Mix: []IntervalRatio{{time.Hour, 1}}}
					f := must.Get(FindCapacity(context.Background(), n, 1, o, Objective{Within: time.Duration(seconds) * time.Second, Ratio: ratio}))(t)
					judged := int64(23)
					if seconds == 0 {
						judged = 24
					}
					timely := int64(math.Ceil(ratio*float64(judged*n) - 1e-9))
					each := (timely + judged - 1) / judged
					if want := max(1, (each+seconds)/(seconds+1)); f.Objective.Capacity != want {
						t.Errorf("%d, want %d", f.Objective.Capacity, want)
					}
				})
			}
		}
	}
}

func TestFindCapacity_RefusesObjectives(t *testing.T) {
	for name, test := range map[string]struct {
		o       Options
		within  time.Duration
		ratio   float64
		refused string
	}{
		"negative":   {Options{}, -1, 0.99, "within"},
		"no ratio":   {Options{}, time.Second, 0, "within"},
		"over 1":     {Options{}, time.Second, 1.01, "within"},
		"NaN":        {Options{}, time.Second, math.NaN(), "within"},
		"capacity":   {Options{Capacity: 5}, time.Second, 0.99, "within"},
		"too short":  {Options{}, time.Second, 0.99, "within"}, // the only slots are at the end
		"too long":   {Options{Mix: []IntervalRatio{{time.Hour, 1}}}, 24 * time.Hour, 0.99, "within"},
		"outage":     {Options{Mix: []IntervalRatio{{time.Hour, 1}}, Outage: Outage{time.Hour, 5 * time.Hour}}, time.Second, 0.99, "within"},
		"bad option": {Options{Seed: 1, Workers: -1}, time.Second, 0.99, "workers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := FindCapacity(context.Background(), 100, 1, test.o, Objective{Within: test.within, Ratio: test.ratio})
			if refused := new(FieldError); !errors.As(err, &refused) || refused.Field != test.refused {
				t.Errorf("%v, want an error of %s", err, test.refused)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FindCapacity(ctx, 1000, 1, Options{}, Objective{Ratio: 0.99}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
