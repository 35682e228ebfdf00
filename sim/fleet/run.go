package fleet

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is a run of cards of one group.
type chunk struct {
	group       int
	first, last int64 // last is not part of it
}

// chunks divides the cards so finely that a chunk takes about a millisecond.
func (p *plan) chunks() []chunk {
	const cards, events, chunks = 256, 1 << 19, 1 << 20 // at most, of each
	size := int64(min(max(events*float64(p.Cards)/p.events(), 1), cards))
	size = max(size, p.Cards/chunks)
	var all []chunk
	for i, g := range p.groups {
		for first := g.first; first < g.first+g.cards; first += size {
			all = append(all, chunk{i, first, min(first+size, g.first+g.cards)})
		}
	}
	return all
}

// Run forecasts the load of 1 to [MaxCards] cards for 1 to [MaxDays] days of 24
// hours. It stops early, with the context's error, when the context ends. Any other
// error is a [*FieldError].
func Run(ctx context.Context, cards int64, days int, o Options) (*Forecast, error) {
	began := time.Now()
	p, err := fleet{cards, days, o}.plan()
	if err != nil {
		return nil, err
	}
	w, err := p.run(ctx)
	if err != nil {
		return nil, err
	}
	f := p.forecast(w)
	f.ElapsedSeconds = time.Since(began).Seconds()
	return f, nil
}

// run simulates the fleet. The queue takes ten times as long as independent cards, and
// workers cannot share it. So run first finds out whether the capacity is ever exceeded.
func (p *plan) run(ctx context.Context) (*worker, error) {
	if p.Capacity == 0 {
		return p.simulate(ctx)
	}
	if p.Record {
		return p.queue(ctx)
	}
	free, err := p.unlimited(ctx)
	if err != nil {
		return nil, err
	}
	if free.peak() > p.Capacity {
		return p.queue(ctx)
	}
	if p.Detail != DetailSeconds {
		free.automatic, free.forced = free.automatic.byMinute(), free.forced.byMinute()
	}
	if p.Detail == DetailTotals {
		free.automatic, free.forced = nil, nil
	}
	if free.waiting == nil {
		free.waiting = DetailSeconds.newSeries(p.end)
	}
	return free, nil
}

// unlimited simulates the fleet without its capacity, by the second.
func (p *plan) unlimited(ctx context.Context) (*worker, error) {
	free := *p
	free.Capacity, free.Detail, free.Progress = 0, DetailSeconds, nil
	if free.outageUntil == free.outageFrom {
		free.Mode = ModeClosed
	}
	return free.simulate(ctx)
}

// peak returns the most rotations in a second.
func (w *worker) peak() (most int64) {
	for i, n := range w.automatic {
		most = max(most, int64(n)+int64(w.forced[i]))
	}
	return most
}

// simulate has the workers simulate all cards, and returns their sum.
func (p *plan) simulate(ctx context.Context) (*worker, error) {
	workers, err := p.share(ctx, func(w *worker, k chunk) {
		switch p.Mode {
		case ModeClosed:
			for id := k.first; id < k.last; id++ {
				w.simulateCalls(k.group, id)
			}
		default:
			for id := k.first; id < k.last; id++ {
				w.simulateEvents(&p.groups[k.group], id)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	sum := workers[0]
	for _, w := range workers[1:] {
		sum.tally.add(&w.tally)
		sum.automatic.add(w.automatic)
		sum.forced.add(w.forced)
		sum.waiting.add(w.waiting)
		for i := range w.combs {
			sum.combs[i].edges.add(w.combs[i].edges)
		}
		sum.records = append(sum.records, w.records...)
	}
	for i := range sum.combs {
		sum.combs[i].sum(sum.automatic)
	}
	return sum, nil
}

// memory is what the workers may take together, in bytes, unless one takes more.
const memory = 256 << 20

// workerSize returns about how much memory a worker takes, in bytes.
func (p *plan) workerSize() int {
	bins := 0
	if p.Detail != DetailTotals {
		bins = (2 + len(p.groups)) * int(p.Detail.binOf(p.end)+1)
	}
	if p.outageUntil > p.outageFrom {
		bins += int(DetailSeconds.binOf(p.end) + 1)
	}
	return 4*bins + 1
}

// share shares out all cards to workers, chunk by chunk.
func (p *plan) share(ctx context.Context, work func(*worker, chunk)) ([]*worker, error) {
	chunks := p.chunks()
	n := p.Workers
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	workers := make([]*worker, min(n, len(chunks), max(1, memory/p.workerSize())))
	var taken, done atomic.Int64
	var all sync.WaitGroup
	for i := range workers {
		w := p.newWorker()
		workers[i] = w
		all.Go(func() {
			for ctx.Err() == nil {
				i := taken.Add(1) - 1
				if i >= int64(len(chunks)) {
					return
				}
				k := chunks[i]
				work(w, k)
				if cards := done.Add(k.last - k.first); p.Progress != nil {
					p.Progress(cards, p.Cards)
				}
			}
		})
	}
	all.Wait()
	return workers, ctx.Err()
}
