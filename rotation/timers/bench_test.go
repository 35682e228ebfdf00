//go:build unix

package timers

import (
	"cmp"
	"container/heap"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
)

var benchCards = flag.Int("cards", 1_000_000, "the cards of BenchmarkTimers")

// subject is what BenchmarkTimers compares. Instants are in Unix nanoseconds.
type subject interface {
	arm(id string, at int64) // or moves
	fire() (at int64)        // hands out the first card, and arms it a day later
	stop()
}

// BenchmarkTimers compares a million cards with a daily slot, -cards sets another
// number: arming them all, moving one to another slot, and firing the first one with
// arming it for the next day. The baselines also find a card by its id. Compare the CPU
// times of one run; other work of the machine disturbs them less than ns/op. "queue" is Timers without lock, clock and callback, as the baseline
// container/heap is. The timers of a clock fire a thousand at a time, by being made due.
// A mock clock sorts all its timers and sleeps for each, so it has 1000.
func BenchmarkTimers(b *testing.B) {
	ids := make([]string, *benchCards)
	for i := range ids {
		ids[i] = fmt.Sprintf("card-%08d", i)
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct {
		name string
		most int // cards
		make func() subject
	}{
		{"timers", len(ids), newBenchTimers},
		{"queue", len(ids), func() subject { return &benchQueue{newQueue()} }},
		{"container heap", len(ids), func() subject { return &benchHeap{byID: map[string]*benchItem{}} }},
		{"time.AfterFunc", len(ids), func() subject { return newBenchClock(clock.New()) }},
		{"clock.Mock.AfterFunc", 1000, func() subject { return newBenchClock(clock.NewMock()) }},
	} {
		ids, start := ids[:min(s.most, len(ids))], time.Now().UnixNano()
		slot := func() int64 { return start + int64(time.Minute) + r.Int64N(int64(24*time.Hour)) }
		var x subject
		arm := func() {
			if x != nil {
				x.stop()
			}
			x = s.make()
			for _, id := range ids {
				x.arm(id, slot())
			}
		}
		name := fmt.Sprintf("%s/cards=%d/", s.name, len(ids))
		b.Run(name+"arm", func(b *testing.B) {
			heapBytes := func() float64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc)
			}
			before := heapBytes()
			defer cpu(b, len(ids))()
			for b.Loop() {
				arm()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ids)), "ns/card")
			b.ReportMetric((heapBytes()-before)/float64(len(ids)), "B/card")
			b.ReportMetric(0, "ns/op")
		})
		if x == nil {
			arm()
		}
		b.Run(name+"move", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b, 1)()
			for i := 0; b.Loop(); i++ {
				x.arm(ids[i%len(ids)], slot())
			}
		})
		b.Run(name+"fire", func(b *testing.B) {
			b.ReportAllocs()
			last := x.fire()
			defer cpu(b, 1)()
			for b.Loop() {
				at := x.fire()
				if at < last {
					b.Fatal("not in order")
				}
				last = at
			}
		})
		if x != nil {
			x.stop()
		}
	}
}

// cpu starts to measure the CPU time of the process; the function that it returns
// reports the time of each of n parts of an operation.
func cpu(b *testing.B, n int) func() {
	total := func() int64 {
		var r syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // it cannot fail
		return r.Utime.Nano() + r.Stime.Nano()
	}
	start := total()
	return func() { b.ReportMetric(float64(total()-start)/float64(b.N*n), "cpu-ns") }
}

// benchTimers has all of Timers: lock, clock, callback and the timer of the runtime.
type benchTimers struct {
	*Timers
	clock *benchTime
	state rotation.State
}

// benchTime is a clock whose Now is set.
type benchTime struct {
	clock.Clock
	now int64
}

func (c *benchTime) Now() time.Time { return time.Unix(0, c.now) }

func newBenchTimers() subject {
	x := &benchTimers{clock: &benchTime{clock.New(), time.Now().UnixNano()}, state: stateAt(time.Now().UnixNano())}
	var err error
	x.Timers, err = New(x.clock, func(context.Context, string) (rotation.State, error) {
		return stateAt(x.clock.now + int64(24*time.Hour)), nil
	}, Options{})
	if err != nil {
		panic(err)
	}
	return x
}

func (x *benchTimers) arm(id string, at int64) { x.Arm(id, stateAt(at)) }
func (x *benchTimers) fire() int64 {
	x.clock.now = max(x.clock.now, x.queue.earliest)
	x.Tick(context.Background())
	return x.clock.now
}

func (x *benchTimers) stop() { x.Stop() }

type benchQueue struct{ *queue }

func (x *benchQueue) arm(id string, at int64) { x.queue.arm(id, at) }
func (x *benchQueue) fire() int64 {
	at := x.earliest
	place, _ := x.take(at)
	x.put(place, at+int64(24*time.Hour))
	return at
}

func (x *benchQueue) stop() {}

// benchHeap is container/heap, typed, with a map of its items.
type benchHeap struct {
	byID map[string]*benchItem
	heap benchItems
}

type benchItem struct {
	id    string
	at    int64
	index int
}

type benchItems []*benchItem

func (h benchItems) Len() int { return len(h) }
func (h benchItems) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].at, h[j].at), cmp.Compare(h[i].id, h[j].id)) < 0
}
func (h benchItems) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *benchItems) Push(x any) {
	x.(*benchItem).index = len(*h)
	*h = append(*h, x.(*benchItem))
}
func (h *benchItems) Pop() any { panic("not used: an item is fixed in its place") }

func (x *benchHeap) arm(id string, at int64) {
	if item := x.byID[id]; item != nil {
		item.at = at
		heap.Fix(&x.heap, item.index)
		return
	}
	item := &benchItem{id: id, at: at}
	x.byID[id] = item
	heap.Push(&x.heap, item)
}

func (x *benchHeap) fire() int64 {
	item := x.heap[0]
	at := item.at
	item.at += int64(24 * time.Hour)
	heap.Fix(&x.heap, 0)
	return at
}

func (x *benchHeap) stop() {}

// benchClock has a timer of a clock for each card.
type benchClock struct {
	clock  clock.Clock
	timers map[string]*clock.Timer
	fired  chan string
	ids    []string
	next   int
	due    int
}

const batch = 1000

func newBenchClock(c clock.Clock) subject {
	if mock, ok := c.(*clock.Mock); ok {
		mock.Set(time.Now())
	}
	return &benchClock{clock: c, timers: map[string]*clock.Timer{}, fired: make(chan string, batch)}
}

func (x *benchClock) arm(id string, at int64) {
	d := time.Duration(at - x.clock.Now().UnixNano())
	if t := x.timers[id]; t != nil {
		t.Reset(d)
		return
	}
	x.timers[id] = x.clock.AfterFunc(d, func() { x.fired <- id })
	x.ids = append(x.ids, id)
}

func (x *benchClock) fire() int64 {
	if x.due == 0 {
		for ; x.due < batch; x.due++ {
			x.timers[x.ids[x.next]].Reset(1)
			x.next = (x.next + 1) % len(x.ids)
		}
		if mock, ok := x.clock.(*clock.Mock); ok {
			mock.Add(1)
		}
	}
	x.due--
	x.timers[<-x.fired].Reset(24 * time.Hour)
	return x.clock.Now().UnixNano()
}

func (x *benchClock) stop() {
	for _, t := range x.timers {
		t.Stop()
	}
}
