package campaign

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// eachSeed runs the seeds of o on its workers until all are done or ctx ends.
// run reports whether its seed found something. Seeds above a finding are skipped
// from then on, so the lowest finding does not depend on the number of workers.
func eachSeed(ctx context.Context, o Options, newWorker func() (run func(seed uint64) (found bool))) {
	started := time.Now()
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next, lowest atomic.Uint64
	lowest.Store(math.MaxUint64)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			run := newWorker()
			for ctx.Err() == nil && (o.For == 0 || time.Since(started) < o.For) {
				i := next.Add(1) - 1
				if i > o.Last-o.First {
					return
				}
				seed := o.First + i
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
