package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// small draws a fleet of a few cards for a day or two in which much happens at
// once, often at the very boundary: intervals just longer than the guard, and
// bursts at a slot or a guard's length from it.
func small(t *rapid.T) fleet {
	guard := rapid.SampledFrom([]time.Duration{0, time.Nanosecond, time.Minute, 2 * time.Minute, 7 * time.Minute}).Draw(t, "guard")
	from := rapid.SampledFrom([]rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling}).Draw(t, "guard from")
	rules := must.Get(rotation.NewRules(guard, from))(t)
	intervals := rapid.SampledFrom([][]time.Duration{
		{time.Hour}, {10 * time.Minute}, {max(guard, 5*time.Minute) + 1}, {12*time.Minute + 30*time.Second}, {10*time.Minute + 500*time.Millisecond},
		{24 * time.Hour, time.Hour}, {90 * time.Minute, 8 * time.Minute, 47*time.Minute + 13*time.Second}, {11 * time.Minute, 30 * time.Hour},
	}).Draw(t, "intervals")
	c := fleet{
		Cards: rapid.Int64Range(1, 9).Draw(t, "cards"),
		Days:  rapid.IntRange(1, 2).Draw(t, "days"),
		Options: Options{
			Rules:   rules,
			Spread:  rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 20 * time.Minute, time.Hour, 48 * time.Hour}).Draw(t, "spread"),
			Seed:    rapid.Uint64().Draw(t, "seed"),
			Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			Detail:  rapid.SampledFrom([]Detail{DetailMinutes, DetailMinutes, DetailMinutes, DetailSeconds}).Draw(t, "detail"),
			Forced: Forced{
				PerDay: rapid.SampledFrom([]float64{0, 0.5, 3, 48, 1000}).Draw(t, "forced"),
				Steady: rapid.Bool().Draw(t, "steady"),
			},
		},
	}
	for _, i := range intervals {
		c.Mix = append(c.Mix, IntervalRatio{i, 1 / float64(len(intervals))})
	}
	if rapid.Bool().Draw(t, "burst") {
		c.Burst = Burst{
			At:     nearSlot(t, c, "burst"),
			Within: rapid.SampledFrom([]time.Duration{1, 1, time.Minute, 10 * time.Minute}).Draw(t, "burst within"),
			Ratio:  rapid.SampledFrom([]float64{0.3, 1}).Draw(t, "burst part"),
		}
	}
	return c
}

// nearSlot draws a time after the start that is at a slot of unspread cards or
// a boundary near it.
func nearSlot(t *rapid.T, c fleet, what string) time.Duration {
	slot := c.Mix[0].Interval * time.Duration(rapid.IntRange(0, 20).Draw(t, what+" slot"))
	at := slot + rapid.SampledFrom([]time.Duration{
		0, 0, 0, 1, -1, c.Rules.Guard(), c.Rules.Guard() - 1, -c.Rules.Guard(), 300 * time.Millisecond, 61 * time.Second,
	}).Draw(t, what+" from slot")
	return min(max(at, 0), time.Duration(c.Days)*24*time.Hour)
}

// withFaults adds an outage, a capacity, or both.
func withFaults(t *rapid.T, c fleet) fleet {
	if rapid.Bool().Draw(t, "outage") {
		from := nearSlot(t, c, "outage")
		lasts := rapid.SampledFrom([]time.Duration{
			1, 400 * time.Millisecond, 5 * time.Minute, time.Hour, 9*time.Hour + 1, 48 * time.Hour, time.Duration(c.Days)*24*time.Hour - from,
		}).Draw(t, "outage for")
		c.Outage = Outage{from, max(lasts, 1)}
	}
	c.Capacity = rapid.SampledFrom([]int64{0, 1, 2, 1000}).Draw(t, "capacity")
	return c
}

func mustRun(t interface {
	Helper()
	Fatal(...any)
}, c fleet) *Forecast {
	t.Helper()
	return must.Get(Run(context.Background(), c.Cards, c.Days, c.Options))(t)
}

// sameResults compares forecasts but for what may differ between ways to
// compute one.
func sameResults(a, b *Forecast) string {
	bare := func(f Forecast) Forecast {
		f.Options, f.Mode, f.ElapsedSeconds, f.records = Options{}, ModeAuto, 0, nil
		return f
	}
	if reflect.DeepEqual(bare(*a), bare(*b)) {
		return "" // cmp takes its time
	}
	return cmp.Diff(bare(*a), bare(*b), cmpopts.IgnoreUnexported(Forecast{}))
}

// totals counts decisions, one by one, as a Forecast does.
type totals struct {
	Automatic, Forced, Scheduled, Held, Missed int64
	Scenario                                   [4]int64
	AutomaticByMinute, ForcedByMinute          []int64
}

func totalsOf(f *Forecast) totals {
	return totals{
		f.Automatic, f.Forced, f.Scheduled, f.Held, f.Missed,
		[4]int64{f.Held - f.Scenario["1"] - f.Scenario["2"] - f.Scenario["3"], f.Scenario["1"], f.Scenario["2"], f.Scenario["3"]},
		f.AutomaticByMinute, f.ForcedByMinute,
	}
}

func (n *totals) count(t *rapid.T, start time.Time, s sim.Step) {
	minute := int(s.Entry.Event.At().Sub(start) / time.Minute)
	switch d := s.Decision; s.Entry.Event.Kind() {
	case rotation.KindSetInterval:
		return
	case rotation.KindAuto:
		n.Automatic++
		n.AutomaticByMinute[minute]++
		n.Missed += d.Missed
	case rotation.KindForced:
		n.Forced++
		n.ForcedByMinute[minute]++
	}
	switch d := s.Decision; d.Reason() {
	case rotation.ReasonScheduled:
		n.Scheduled++
	case rotation.ReasonGuard:
		n.Held++
		n.Scenario[d.Scenario]++
	default:
		t.Fatalf("%v: %v; a fleet's events all rotate", s.Entry, d)
	}
}

func noTotals(f *Forecast) totals {
	return totals{AutomaticByMinute: make([]int64, len(f.AutomaticByMinute)), ForcedByMinute: make([]int64, len(f.ForcedByMinute))}
}

// TestRun_AgreesWithReplay replays the events that a forecast wrote: the rules
// accept each, and their decisions add up to the forecast.
func TestRun_AgreesWithReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		c.Record = true
		f := mustRun(t, c)
		var file bytes.Buffer
		must.Do(t, f.WriteTimeline(&file))
		r := timeline.NewReader(&file, "fleet")
		rules := must.Get(r.Rules())(t)
		replay := sim.NewReplay(rules)
		got := noTotals(f)
		last := f.Start
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			must.Do(t, err)
			if e.Event.At().Before(last) {
				t.Fatalf("%v is earlier than the event before it", e)
			}
			last = e.Event.At()
			step := must.Get(replay.Apply(e))(t)
			got.count(t, f.Start, step)
		}
		if diff := cmp.Diff(got, totalsOf(f)); diff != "" {
			t.Errorf("replay (-) and forecast (+) differ:\n%s", diff)
		}
	})
}

// TestRun_AgreesWithClosedLoop gives the closed loop what is not automatic. It fires the
// same automatic rotations, at the same place in the order.
func TestRun_AgreesWithClosedLoop(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := small(t)
		c.Record = true
		f := mustRun(t, c)
		loop := must.Get(sim.NewLoop(c.Rules, f.End, 0))(t)
		got := noTotals(f)
		var events []timeline.Entry
		emit := func(s sim.Step) error {
			got.count(t, f.Start, s)
			events = append(events, s.Entry)
			return nil
		}
		var want []timeline.Entry
		for e := range f.Timeline() {
			want = append(want, e)
			if e.Event.Kind() != rotation.KindAuto {
				must.Do(t, loop.Apply(e, emit))
			}
		}
		must.Do(t, loop.Finish(emit))
		if !slices.Equal(events, want) {
			t.Errorf("the loop's events differ from the forecast's:\n%v\n%v", events, want)
		}
		if diff := cmp.Diff(got, totalsOf(f)); diff != "" {
			t.Errorf("loop (-) and forecast (+) differ:\n%s", diff)
		}
	})
}

// TestRun_ModesAgree holds the arithmetic against the events, in all fields.
func TestRun_ModesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := small(t)
		c.Cards *= 40 // more than one chunk
		c.Mode = ModeClosed
		closed := mustRun(t, c)
		c.Mode = ModeEvent
		event := mustRun(t, c)
		if diff := sameResults(closed, event); diff != "" {
			t.Errorf("closed (-) and event (+) differ:\n%s", diff)
		}
		// A capacity that never binds and an outage of no length change nothing.
		c.Mode, c.Capacity = ModeAuto, MaxCapacity
		queued := mustRun(t, c)
		if queued.Backlog.Max != 0 || queued.Backlog.Delayed != 0 {
			t.Errorf("backlog %+v at a capacity that is never reached", queued.Backlog)
		}
		queued.Backlog, queued.BacklogByMinute = nil, nil
		if diff := sameResults(closed, queued); diff != "" {
			t.Errorf("closed (-) and queue (+) differ:\n%s", diff)
		}
	})
}

// TestRun_WorkersDoNotChangeTheForecast: the sum over several workers is that of one.
func TestRun_WorkersDoNotChangeTheForecast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		c.Capacity = 0
		c.Cards += 600 // more than two chunks
		c.Workers = 1
		one := mustRun(t, c)
		// The first worker that is done with a chunk waits for another one.
		var calls atomic.Int64
		other := make(chan struct{})
		c.Progress = func(int64, int64) {
			switch calls.Add(1) {
			case 1:
				<-other
			case 2:
				close(other)
			}
		}
		c.Workers = 2
		if diff := sameResults(one, mustRun(t, c)); diff != "" {
			t.Errorf("one worker (-) and two (+) differ:\n%s", diff)
		}
	})
}

// TestRun_OutageAgreesWithCapacityQueue: an outage alone is what it is with a capacity that
// never binds, though one is computed card by card and the other in one queue.
func TestRun_OutageAgreesWithCapacityQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		if c.Outage.For == 0 {
			t.Skip("no outage")
		}
		c.Capacity = 0
		cards := mustRun(t, c)
		c.Capacity = MaxCapacity
		if diff := sameResults(cards, mustRun(t, c)); diff != "" {
			t.Errorf("card by card (-) and queue (+) differ:\n%s", diff)
		}
	})
}

// TestRun_CapacityQueueAgreesWithNaiveQueue holds the queue against a slow and obvious host that
// lives through each instant in turn.
func TestRun_CapacityQueueAgreesWithNaiveQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		c.Capacity = rapid.Int64Range(1, 3).Draw(t, "tight capacity")
		c.Record = true
		f := mustRun(t, c)
		var got []timeline.Entry
		forced := map[string][]time.Time{}
		loads := map[time.Time]int64{} // forced calls by second
		states := map[string]rotation.State{}
		var names []string
		for e := range f.Timeline() {
			at := e.Event.At()
			switch e.Event.Kind() {
			case rotation.KindSetInterval:
				names = append(names, e.Card)
				states[e.Card], _, _ = c.Rules.Decide(rotation.State{}, e.Event)
			case rotation.KindForced:
				forced[e.Card] = append(forced[e.Card], at)
				loads[at.Truncate(time.Second)]++
			case rotation.KindAuto:
				got = append(got, e)
			}
		}
		var want []timeline.Entry
		apply := func(card string, e rotation.Event) {
			s, d, err := c.Rules.Decide(states[card], e)
			if err != nil || !d.Rotate() {
				t.Fatalf("%v, %v", d, err)
			}
			states[card] = s
			if e.Kind() == rotation.KindAuto {
				want = append(want, timeline.Entry{Card: card, Event: e})
			}
		}
		back := f.Start.Add(c.Outage.From + c.Outage.For)
		out := func(at time.Time) bool {
			return c.Outage.For > 0 && !at.Before(f.Start.Add(c.Outage.From)) && at.Before(back)
		}
		for now := f.Start; !now.After(f.End); {
			// Serve what is due, the oldest slot first.
			for !out(now) && loads[now.Truncate(time.Second)] < c.Capacity {
				oldest := ""
				for _, card := range names {
					slot, _ := states[card].Next()
					best, _ := states[oldest].Next()
					if !slot.After(now) && (oldest == "" || slot.Before(best)) {
						oldest = card
					}
				}
				if oldest == "" {
					break
				}
				slot, _ := states[oldest].Next()
				loads[now.Truncate(time.Second)]++
				apply(oldest, rotation.AutoSlot(now, slot))
			}
			for _, card := range names {
				for len(forced[card]) > 0 && forced[card][0].Equal(now) {
					apply(card, rotation.Forced(now))
					forced[card] = forced[card][1:]
				}
			}
			// On to the next instant at which anything can happen.
			next := f.End.Add(1)
			consider := func(at time.Time) {
				if at.After(now) && at.Before(next) {
					next = at
				}
			}
			consider(back)
			for _, card := range names {
				slot, _ := states[card].Next()
				if !slot.After(now) && !out(now) {
					consider(now.Truncate(time.Second).Add(time.Second)) // it waits for capacity
				}
				consider(slot)
				if len(forced[card]) > 0 {
					consider(forced[card][0])
				}
			}
			now = next
		}
		slices.SortStableFunc(want, func(a, b timeline.Entry) int {
			if c := a.Event.At().Compare(b.Event.At()); c != 0 {
				return c
			}
			return bytes.Compare([]byte(a.Card), []byte(b.Card))
		})
		if !slices.Equal(got, want) {
			t.Errorf("the queue's rotations differ from the twin's:\n%v\n%v", got, want)
		}
		c.Record = false
		c.Workers = 4 - c.Workers
		if diff := sameResults(f, mustRun(t, c)); diff != "" {
			t.Errorf("with (-) and without (+) a record of the events, by other workers:\n%s", diff)
		}
	})
}

// TestRun_RandomNumbersDependOnTheCardAlone: a card's events are the same in any fleet,
// and its regular calls the same without the burst.
func TestRun_RandomNumbersDependOnTheCardAlone(t *testing.T) {
	byCard := func(c fleet) map[string][]timeline.Entry {
		c.Record = true
		events := map[string][]timeline.Entry{}
		for e := range mustRun(t, c).Timeline() {
			events[e.Card] = append(events[e.Card], e)
		}
		return events
	}
	forcedAt := func(events []timeline.Entry) (at []time.Time) {
		for _, e := range events {
			if e.Event.Kind() == rotation.KindForced {
				at = append(at, e.Event.At())
			}
		}
		return at
	}
	c := fleet{15, 2, Options{Spread: 24 * time.Hour, Forced: Forced{PerDay: 5}, Seed: 7}}
	some := byCard(c)
	c.Cards = 20
	if more := byCard(c); !slices.Equal(some["card-03"], more["card-03"]) {
		t.Errorf("a card among 15 and among 20:\n%v\n%v", some["card-03"], more["card-03"])
	}
	c.Burst = Burst{At: time.Hour, Within: time.Minute, Ratio: 1}
	with := forcedAt(byCard(c)["card-03"])
	without := slices.DeleteFunc(with, func(at time.Time) bool {
		return !at.Before(DefaultStart.Add(time.Hour)) && at.Before(DefaultStart.Add(time.Hour+time.Minute))
	})
	if want := forcedAt(some["card-03"]); !slices.Equal(without, want) {
		t.Errorf("regular calls with a burst %v, without %v", without, want)
	}
	c.Seed = 8
	if slices.Equal(forcedAt(byCard(c)["card-03"]), with) {
		t.Error("another seed makes the same calls")
	}
}

// TestRun_AgreesWithCountsByHand: totals that a pencil gives.
func TestRun_AgreesWithCountsByHand(t *testing.T) {
	hour := []IntervalRatio{{time.Hour, 1}}
	at := func(d time.Duration) time.Time { return DefaultStart.Add(d) }
	tests := []struct {
		name   string
		config fleet
		check  func(f *Forecast) (got, want any)
	}{
		{
			"hourly, all at one instant: 720 slots each, at the full hour",
			fleet{1000, 30, Options{Mix: hour, Detail: DetailSeconds}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Scheduled, f.Held, *f.PerMinute, *f.PerSecond},
					[]any{
						int64(720_000), int64(720_000), int64(0),
						Load{720_000.0 / 43_200, 0, 1000, 1000, at(time.Hour)},
						Load{720_000.0 / 2_592_000, 0, 0, 1000, at(time.Hour)},
					}
			},
		},
		{
			"spread over the interval: as many, since the end counts and the start does not",
			fleet{1000, 30, Options{Mix: hour, Spread: time.Hour}},
			func(f *Forecast) (any, any) { return f.Automatic, int64(720_000) },
		},
		{
			"a mix is exact: 7 cards daily, 3 hourly",
			fleet{10, 30, Options{Mix: []IntervalRatio{{24 * time.Hour, 0.7}, {time.Hour, 0.3}}}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Intervals}, []any{int64(7*30 + 3*720), []Interval{{"24h", 7}, {"1h", 3}}}
			},
		},
		{
			"a mix of halves: the odd card has the first interval",
			fleet{3, 1, Options{Mix: []IntervalRatio{{24 * time.Hour, 0.5}, {time.Hour, 0.5}}}},
			func(f *Forecast) (any, any) { return f.Intervals, []Interval{{"24h", 2}, {"1h", 1}} },
		},
		{
			"a burst exactly the guard after a slot is not held",
			fleet{100, 1, Options{Mix: hour, Burst: Burst{At: 62 * time.Minute, Within: 1, Ratio: 1}}},
			func(f *Forecast) (any, any) { return []any{f.Automatic, f.Held}, []any{int64(2300), int64(0)} },
		},
		{
			"an interval longer than the forecast",
			fleet{10, 1, Options{Mix: []IntervalRatio{{25 * time.Hour, 1}}}},
			func(f *Forecast) (any, any) { return f.Rotations, int64(0) },
		},
		{
			"everything forced 30 minutes in, at one instant: the phase moves to half past, and one slot is lost",
			fleet{100, 1, Options{Mix: hour, Burst: Burst{At: 30 * time.Minute, Within: 1, Ratio: 1}}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Forced, f.Scheduled, f.PerMinute.MaxAt},
					[]any{int64(2300), int64(100), int64(2400), at(30 * time.Minute)}
			},
		},
		{
			"a burst one minute after a slot is scenario 1; the schedule stays",
			fleet{100, 1, Options{Mix: hour, Burst: Burst{At: 61 * time.Minute, Within: 1, Ratio: 0.25}}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Forced, f.Scenario, f.HeldRatio}, []any{int64(2400), int64(25), map[string]int64{"1": 25, "2": 0, "3": 0}, 25.0 / 2425}
			},
		},
		{
			"a burst one minute before a slot moves the phase away: no scenario",
			fleet{100, 1, Options{Mix: hour, Burst: Burst{At: 59 * time.Minute, Within: 1, Ratio: 1}}},
			func(f *Forecast) (any, any) { return []any{f.Automatic, f.Held}, []any{int64(2300), int64(0)} },
		},
		{
			"steady calls every two hours to the card: each moves the schedule, and a slot follows it an hour later",
			fleet{1, 10, Options{Mix: hour, Forced: Forced{PerDay: 12, Steady: true}}},
			func(f *Forecast) (any, any) { return f.Forced, int64(120) },
		},
		{
			"an outage of 5 h 30 over the slots 3:00 to 7:00: served once when it is over, at 8:00",
			fleet{100, 1, Options{Mix: hour, Outage: Outage{150 * time.Minute, 330 * time.Minute}}},
			func(f *Forecast) (any, any) {
				back, first := at(8*time.Hour), at(3*time.Hour)
				return []any{f.Automatic, f.Missed, *f.Backlog},
					// The slots 3:00 to 7:00 wait for 8:00, which is a slot as well.
					[]any{int64(1900), int64(500), Backlog{100, &first, &back, 100, 100, &back, 5 * 3600, Lateness{0, 0, 5 * 3600, 5 * 3600}}}
			},
		},
		{
			"a late rotation exactly the guard before the next slot does not hold it",
			fleet{100, 1, Options{Mix: hour, Outage: Outage{178 * time.Minute, time.Hour}}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Held, f.Missed}, []any{int64(2400), int64(0), int64(0)}
			},
		},
		{
			"one a nanosecond later does, without a scenario",
			fleet{100, 1, Options{Mix: hour, Outage: Outage{178 * time.Minute, time.Hour + 1}}},
			func(f *Forecast) (any, any) {
				return []any{f.Automatic, f.Held, f.Scenario}, []any{int64(2400), int64(100), map[string]int64{"1": 0, "2": 0, "3": 0}}
			},
		},
		{
			"an outage up to the last instant, in which all is worked off",
			fleet{100, 1, Options{Mix: hour, Outage: Outage{22*time.Hour + time.Minute, 119 * time.Minute}}},
			func(f *Forecast) (any, any) {
				end, first := at(24*time.Hour), at(23*time.Hour)
				return []any{f.Automatic, f.Missed, *f.Backlog}, []any{int64(2300), int64(100), Backlog{100, &first, &end, 100, 100, &end, 3600, Lateness{0, 0, 3600, 3600}}}
			},
		},
		{
			"100 due at once at 10 a second: worked off in ten seconds",
			fleet{100, 1, Options{Capacity: 10, Detail: DetailSeconds}},
			func(f *Forecast) (any, any) {
				// The daily slot is the forecast's last instant: the rest wait beyond it.
				first := at(24 * time.Hour)
				return []any{f.Automatic, *f.Backlog}, []any{int64(10), Backlog{90, &first, nil, 0, 0, nil, 0, Lateness{}}}
			},
		},
		{
			"the same at 13:00",
			fleet{100, 1, Options{Mix: []IntervalRatio{{13 * time.Hour, 1}}, Capacity: 10, Detail: DetailSeconds}},
			func(f *Forecast) (any, any) {
				due, clear := at(13*time.Hour), at(13*time.Hour+9*time.Second)
				return []any{f.Automatic, f.PerSecond.Max, *f.Backlog}, []any{int64(100), int64(10), Backlog{90, &due, &clear, 90, 0, nil, 9, Lateness{4, 8, 9, 9}}}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, tt.config.Record = range []bool{false, true} { // true: each event in full
				got, want := tt.check(mustRun(t, tt.config))
				if diff := cmp.Diff(got, want); diff != "" {
					t.Errorf("recorded %v: forecast (-) and pencil (+) differ:\n%s", tt.config.Record, diff)
				}
			}
		})
	}
}

func TestPercentiles_AgreeWithSorting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bins := series(rapid.SliceOfN(rapid.Uint32Range(0, rapid.SampledFrom([]uint32{1, 5, 1000}).Draw(t, "top")), rapid.SampledFrom([]int{1, 150}).Draw(t, "at least"), 250).Draw(t, "bins"))
		sorted := slices.Sorted(slices.Values(bins))
		nearest := func(part float64) int64 { return int64(sorted[int(math.Ceil(part*float64(len(bins))/100))-1]) }
		p50, p99 := percentiles(slices.Clone(bins), int64(slices.Max(bins)))
		if p50 != nearest(50) || p99 != nearest(99) {
			t.Errorf("p50 %d, p99 %d, want %d, %d", p50, p99, nearest(50), nearest(99))
		}
	})
}

// TestPercentiles_OfFewBins: 99 of 100 are exactly as many as needed.
func TestPercentiles_OfFewBins(t *testing.T) {
	bins := make(series, 100)
	bins[7] = 5
	if p50, p99 := percentiles(bins, 5); p50 != 0 || p99 != 0 {
		t.Errorf("p50 %d, p99 %d, want 0, 0", p50, p99)
	}
}

// TestExponential_HasItsMean holds the integer logarithm against math's, and pins its
// table: every machine must draw the same gaps.
func TestExponential_HasItsMean(t *testing.T) {
	const mean = int64(24 * time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64().Draw(t, "u") | 1
		want := -math.Log(float64(u)/(1<<63)/2) * float64(mean)
		if got := float64(exponential(u, mean)); math.Abs(got-want) > 1+2e-7*float64(mean) {
			t.Errorf("exponential(%d) = %v, want %v", u, got, want)
		}
	})
	sum := uint64(0)
	for _, l := range logs {
		sum = splitmix.Mix(sum ^ l)
	}
	if want := uint64(0x378608c3374efbc1); sum != want {
		t.Errorf("the table's hash is %#x, want %#x", sum, want)
	}
	if got := exponential(0, math.MaxInt64); got != longestGap {
		t.Errorf("the longest gap is %d, want %d", got, int64(longestGap))
	}
}

// TestDraw_IsUniform: means and spreads that a bias of the draws would move. The
// seed is fixed, so it can't fail by chance.
func TestDraw_IsUniform(t *testing.T) {
	f := mustRun(t, fleet{10_000, 100, Options{Mix: []IntervalRatio{{time.Hour, 1}}, Forced: Forced{PerDay: 1}, Spread: time.Hour}})
	// A million calls: the standard deviation is 1000.
	if math.Abs(float64(f.Forced)-1e6) > 3000 {
		t.Errorf("%d forced calls, want a million", f.Forced)
	}
	// Of calls in a Poisson process, 1 - exp(-2/1440) come within two minutes
	// of the card's last one.
	if want := 1e6 * -math.Expm1(-2.0/1440); math.Abs(float64(f.Scenario["3"])-want) > 150 {
		t.Errorf("%d in scenario 3, want about %.0f", f.Scenario["3"], want)
	}
	// Calls fall anywhere between two slots, 2 of 60 minutes are in scenario 1.
	if want := 1e6 * 2 / 60; math.Abs(float64(f.Scenario["1"])-want) > 1500 {
		t.Errorf("%d in scenario 1, want about %.0f", f.Scenario["1"], want)
	}
	first := f.AutomaticByMinute[:60]
	if slices.Max(first) > 10_000/60+60 || slices.Min(first) < 10_000/60-60 {
		t.Errorf("first slots by minute are not even: %v", first)
	}
}

func TestCompareSpread_ShowsWhatSpreadingSaves(t *testing.T) {
	c := fleet{1440, 2, Options{}}
	f := mustRun(t, c)
	must.Do(t, CompareSpread(context.Background(), f))
	c.Spread = 24 * time.Hour
	spread := mustRun(t, c)
	if want := (Spread{Window: "each card's interval", PerMinuteMax: spread.PerMinute.Max, PerMinuteLess: 1440 - spread.PerMinute.Max}); *f.Spread != want {
		t.Errorf("unspread compared: %+v, want %+v", *f.Spread, want)
	}
	must.Do(t, CompareSpread(context.Background(), spread))
	if want := (Spread{Window: "0s", PerMinuteMax: 1440, PerMinuteLess: 1440 - spread.PerMinute.Max}); *spread.Spread != want {
		t.Errorf("spread compared: %+v, want %+v", *spread.Spread, want)
	}
}

func TestCompareSpread_NeedsTheLoad(t *testing.T) {
	f := mustRun(t, fleet{1, 1, Options{Detail: DetailTotals}})
	if err := CompareSpread(context.Background(), f); err == nil {
		t.Error("compared a forecast that did not count load")
	}
}

func TestRun_StopsWithItsContext(t *testing.T) {
	for _, c := range []fleet{
		{MaxCards, 30, Options{Forced: Forced{PerDay: 1}}},
		{MaxCards / 10, 30, Options{Mix: []IntervalRatio{{time.Hour, 1}}, Mode: ModeEvent}},
		{1_000_000, 30, Options{Mix: []IntervalRatio{{time.Hour, 1}}, Capacity: 10}},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		c.Progress = func(int64, int64) { cancel() }
		if _, err := Run(ctx, c.Cards, c.Days, c.Options); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	}
}

func TestRun_RefusesBadOptions(t *testing.T) {
	good := fleet{1, 1, Options{}}
	for _, tt := range []struct {
		field string
		spoil func(c *fleet)
	}{
		{"cards", func(c *fleet) { c.Cards = 0 }},
		{"cards", func(c *fleet) { c.Cards = MaxCards + 1 }},
		{"cards", func(c *fleet) { c.Cards, c.Mix, c.Rules = MaxCards, []IntervalRatio{{time.Second, 1}}, noGuard }},
		{"days", func(c *fleet) { c.Days = 0 }},
		{"days", func(c *fleet) { c.Days = math.MaxInt }},
		{"start", func(c *fleet) { c.Start = DefaultStart.Add(time.Second) }},
		{"start", func(c *fleet) { c.Start = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"start", func(c *fleet) { c.Start, c.Days = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 366 }},
		{"start", func(c *fleet) {
			c.Start, c.Mix = time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC), []IntervalRatio{{rotation.MaxInterval, 1}}
		}},
		{"spread", func(c *fleet) { c.Spread = -1 }},
		{"capacity", func(c *fleet) { c.Capacity = -1 }},
		{"capacity", func(c *fleet) { c.Capacity, c.Days = 1, 367 }},
		{"outage-for", func(c *fleet) { c.Outage, c.Days = Outage{0, 1}, 367 }},
		{"interval", func(c *fleet) {
			for i := range time.Duration(MaxIntervals + 1) {
				c.Mix = append(c.Mix, IntervalRatio{time.Hour + i, 1.0 / (MaxIntervals + 1)})
			}
		}},
		{"per-second", func(c *fleet) { c.Detail, c.Days = DetailSeconds, 367 }},
		{"detail", func(c *fleet) { c.Detail = 3 }},
		{"workers", func(c *fleet) { c.Workers = -1 }},
		{"mode", func(c *fleet) { c.Mode = 3 }},
		{"mode", func(c *fleet) { c.Mode, c.Capacity = ModeClosed, 1 }},
		{"mode", func(c *fleet) { c.Mode, c.Outage = ModeClosed, Outage{0, 1} }},
		{"mode", func(c *fleet) { c.Mode, c.Record = ModeClosed, true }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{2 * time.Minute, 1}} }},
		{"interval", func(c *fleet) { c.Mix, c.Rules = []IntervalRatio{{time.Second - 1, 1}}, noGuard }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{rotation.MaxInterval + 1, 1}} }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{time.Hour, 0.9}} }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{time.Hour, -1}, {2 * time.Hour, 2}} }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{time.Hour, math.NaN()}} }},
		{"interval", func(c *fleet) { c.Mix = []IntervalRatio{{time.Hour, 0.5}, {time.Hour, 0.5}} }},
		{"forced", func(c *fleet) { c.Forced.PerDay = -1 }},
		{"forced", func(c *fleet) { c.Forced.PerDay = 1e-9 }},
		{"forced", func(c *fleet) { c.Forced.PerDay = 1441 }},
		{"forced", func(c *fleet) { c.Forced.PerDay = math.NaN() }},
		{"burst", func(c *fleet) { c.Burst = Burst{25 * time.Hour, time.Hour, 1} }},
		{"burst-within", func(c *fleet) { c.Burst = Burst{0, 0, 1} }},
		{"burst-share", func(c *fleet) { c.Burst = Burst{0, 1, 1.1} }},
		{"outage-from", func(c *fleet) { c.Outage = Outage{-1, 1} }},
		{"outage-for", func(c *fleet) { c.Outage = Outage{0, -1} }},
		{"write-timeline", func(c *fleet) { c.Record, c.Cards = true, MaxEvents }},
	} {
		c := good
		tt.spoil(&c)
		_, err := Run(context.Background(), c.Cards, c.Days, c.Options)
		var refused *FieldError
		if !errors.As(err, &refused) || refused.Field != tt.field {
			t.Errorf("error %v, want one of %s", err, tt.field)
		}
	}
}

var noGuard, _ = rotation.NewRules(0, rotation.GuardFromRequest)

func ExampleRun() {
	f, err := Run(context.Background(), 1000, 30, Options{
		Mix:      []IntervalRatio{{24 * time.Hour, 0.7}, {time.Hour, 0.3}},
		Capacity: 5,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Rotations, "rotations, at most", f.PerMinute.Max, "a minute")
	fmt.Println("at most", f.Backlog.Max, "waiting, the longest for", f.Backlog.Longest, "s")
	// Output:
	// 236005 rotations, at most 300 a minute
	// at most 995 waiting, the longest for 199 s
}
