package check

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Seeds are the seeds of a campaign, and how they are gone through.
type Seeds struct {
	First, Last uint64        // both included
	For         time.Duration // take up no more of them after so long; 0: no limit
	Workers     int           // goroutines; 0: one for each processor
}

// Run runs the seeds until they are through or ctx ends. Each goroutine makes
// itself a worker, which says of a seed whether it found something. Seeds above a
// finding are left out from then on, so that the lowest finding does not depend on
// the number of workers.
func (s Seeds) Run(ctx context.Context, newWorker func() func(seed uint64) (found bool)) {
	started := time.Now()
	workers := s.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var taken, lowest atomic.Uint64
	lowest.Store(math.MaxUint64)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			run := newWorker()
			for ctx.Err() == nil && (s.For == 0 || time.Since(started) < s.For) {
				i := taken.Add(1) - 1
				if i > s.Last-s.First {
					return
				}
				seed := s.First + i
				if seed >= lowest.Load() || !run(seed) {
					continue
				}
				for was := lowest.Load(); seed < was && !lowest.CompareAndSwap(was, seed); was = lowest.Load() {
				}
			}
		})
	}
	group.Wait()
}
