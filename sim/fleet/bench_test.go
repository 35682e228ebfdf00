package fleet

import (
	"container/heap"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// BenchmarkFleet simulates the same fleet in many ways: hourly rotation and a
// forced call a day (a Poisson process) for 30 days. Compare ns/rotation within
// one run. The variants walk, on one core, 1000 cards: 735,000 rotations. The
// baselines deliver the same events through a queue or a clock, and decide them
// by the same code; the slow ones have fewer cards. The variants run are whole
// forecasts of more cards on all cores.
func BenchmarkFleet(b *testing.B) {
	config := func(cards int64, m Mode, d Detail) fleet {
		return fleet{cards, 30, Options{Mix: []IntervalRatio{{time.Hour, 1}}, Spread: time.Hour, Forced: Forced{PerDay: 1}, Mode: m, Detail: d}}
	}
	// perRotation runs simulate over and over; it returns the rotations made.
	perRotation := func(b *testing.B, simulate func() int64) {
		rotations := int64(0)
		for b.Loop() {
			rotations += simulate()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rotations), "ns/rotation")
	}
	made := func(t tally) int64 { return t.autoScheduled + t.autoHeld + t.forcedScheduled + t.forcedHeld }
	plan := func(b *testing.B, c fleet) *plan {
		return must.Get(c.plan())(b)
	}

	for _, v := range []struct {
		name   string
		mode   Mode
		detail Detail
	}{
		{"walk=closed", ModeClosed, DetailTotals},
		{"walk=closed+minutes", ModeClosed, DetailMinutes},
		{"walk=event", ModeEvent, DetailTotals},
		{"walk=event+minutes", ModeEvent, DetailMinutes},
	} {
		b.Run(v.name, func(b *testing.B) {
			p := plan(b, config(1000, v.mode, v.detail))
			w := p.newWorker()
			perRotation(b, func() int64 {
				w.tally = tally{}
				for id := range p.Cards {
					if v.mode == ModeClosed {
						w.simulateCalls(0, id)
					} else {
						w.simulateEvents(&p.groups[0], id)
					}
				}
				return made(w.tally)
			})
		})
	}

	for _, base := range []struct {
		name  string
		cards int64
		run   func(*bench)
	}{
		{"baseline=4-ary heap", 1000, (*bench).quaternary},
		{"baseline=container heap", 1000, (*bench).container},
		{"baseline=synctest", 100, (*bench).bubbled},
		{"baseline=clock.Mock", 1, (*bench).mock},
	} {
		b.Run(base.name, func(b *testing.B) {
			p := plan(b, config(base.cards, ModeEvent, DetailTotals))
			perRotation(b, func() int64 {
				x := newBench(p)
				base.run(x)
				return made(x.tally)
			})
		})
	}

	for _, v := range []struct {
		name  string
		cards int64
		c     fleet
	}{
		{"run=closed", 1_000_000, config(1_000_000, ModeClosed, DetailTotals)},
		{"run=closed+minutes", 1_000_000, config(1_000_000, ModeClosed, DetailMinutes)},
		{"run=closed+seconds", 100_000, config(100_000, ModeClosed, DetailSeconds)},
		{"run=event+minutes", 100_000, config(100_000, ModeEvent, DetailMinutes)},
		{"run=queue+minutes", 10_000, func() fleet {
			c := config(10_000, ModeEvent, DetailMinutes)
			c.Capacity = 4 // of the 2.8 a second on average
			return c
		}()},
		{"run=queue, no calls", 10_000, func() fleet {
			c := config(10_000, ModeEvent, DetailMinutes)
			c.Capacity, c.Forced = 4, Forced{}
			return c
		}()},
		{"run=queue, 100 times the cards", 1_000_000, func() fleet {
			c := config(1_000_000, ModeEvent, DetailMinutes)
			c.Capacity, c.Forced = 300, Forced{}
			return c
		}()},
		{"run=capacity not reached", 1_000_000, func() fleet {
			c := config(1_000_000, ModeEvent, DetailMinutes)
			c.Capacity = 1000
			return c
		}()},
	} {
		b.Run(v.name, func(b *testing.B) {
			perRotation(b, func() int64 {
				f := must.Get(Run(context.Background(), v.c.Cards, v.c.Days, v.c.Options))(b)
				return f.Rotations
			})
		})
	}
}

// bench is a fleet for the baselines to drive: whatever keeps the order calls
// step for one card after the other.
type bench struct {
	*worker
	cards []card
	calls []calls
}

func newBench(p *plan) *bench {
	x := &bench{worker: p.newWorker()}
	for id := range p.Cards {
		x.cards = append(x.cards, card{next: p.firstSlot(&p.groups[0], id), guardKind: rotation.KindSetInterval})
		x.calls = append(x.calls, p.callsOf(id))
	}
	return x
}

// due returns when a card's next event is.
func (x *bench) due(id int) int64 { return min(x.cards[id].next, x.calls[id].next) }

// step decides a card's next event.
func (x *bench) step(id int) {
	c, calls, interval := &x.cards[id], &x.calls[id], x.groups[0].interval
	if c.next <= calls.next {
		x.rotate(int64(id), c, interval, c.next)
		return
	}
	x.force(int64(id), c, interval, calls.next)
	x.advance(calls)
}

// due is a card in a heap.
type due struct {
	at int64
	id int
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (x *bench) all() (h dueHeap) {
	for id := range x.cards {
		h = append(h, due{x.due(id), id})
	}
	return h
}

func (x *bench) container() {
	h := x.all()
	heap.Init(&h)
	for h[0].at <= x.end {
		next := heap.Pop(&h).(due)
		x.step(next.id)
		heap.Push(&h, due{x.due(next.id), next.id})
	}
}

// quaternary replaces the first of a typed 4-ary heap.
func (x *bench) quaternary() {
	h := x.all()
	sift := func(i int) {
		item := h[i]
		for {
			first := 4*i + 1
			if first >= len(h) {
				break
			}
			least := first
			for j := first + 1; j < min(first+4, len(h)); j++ {
				if h[j].at < h[least].at {
					least = j
				}
			}
			if h[least].at >= item.at {
				break
			}
			h[i] = h[least]
			i = least
		}
		h[i] = item
	}
	for i := len(h) - 1; i >= 0; i-- {
		sift(i)
	}
	for h[0].at <= x.end {
		x.step(h[0].id)
		h[0].at = x.due(h[0].id)
		sift(0)
	}
}

// bubbled gives each card a goroutine that sleeps on the fake clock.
func (x *bench) bubbled() {
	inBubble(func(*testing.T) {
		var one sync.Mutex
		var all sync.WaitGroup
		start := time.Now()
		for id := range x.cards {
			all.Go(func() {
				for at := x.due(id); at <= x.end; at = x.due(id) {
					time.Sleep(time.Until(start.Add(time.Duration(at))))
					one.Lock()
					x.step(id)
					one.Unlock()
				}
			})
		}
		all.Wait()
	})
}

// inBubble is synctest.Test for a benchmark, which has no *testing.T to give.
func inBubble(f func(*testing.T)) {
	testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{
		{Name: "bubble", F: func(t *testing.T) { synctest.Test(t, f) }},
	})
}

// mock arms one timer of a mock clock after the other, and moves the clock on
// to it.
func (x *bench) mock() {
	m := clock.NewMock()
	start := m.Now()
	fired := make(chan struct{})
	for id := range x.cards {
		for at := x.due(id); at <= x.end; at = x.due(id) {
			m.AfterFunc(start.Add(time.Duration(at)).Sub(m.Now()), func() { x.step(id); close(fired) })
			m.Set(start.Add(time.Duration(at)))
			<-fired
			fired = make(chan struct{})
		}
	}
}
