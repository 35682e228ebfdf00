// Package campaign runs a simulation with many seeds and merges what the runs
// found: the broken invariant of the lowest seed, and the coverage goals that the
// runs met. The result does not depend on the number of workers.
//
// It knows nothing of cards. Package check simulates hosts with it, package
// enginecheck replicas of the engine.
package campaign

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cvvrotation/sim/internal/splitmix"
)

// Campaign is a simulation that can be run with any seed. F describes a broken
// invariant.
type Campaign[F any] struct {
	// Goals are the coverage goals, a sentence each.
	Goals []string
	// NewWorker returns a function that runs one seed after another. Each
	// goroutine has its own.
	NewWorker func() func(seed uint64) Outcome[F]
}

// Outcome is the result of one run.
type Outcome[F any] struct {
	Hash    uint64    // of the trace
	Events  int64     // simulated events
	Options string    // what was drawn for the run, in one line
	Met     []uint64  // how often each goal was met; valid until the worker's next run
	Shrink  func() *F // shrinks the failure; nil when all invariants held
}

// Options select the seeds of a campaign and how they run.
type Options struct {
	First, Last uint64        // the seeds, both included
	For         time.Duration // start no run after this time; 0: no limit
	Workers     int           // goroutines; 0: one for each processor
	Twice       bool          // run each seed twice and compare the trace hashes

	// Progress and Each are called after each run, one call at a time, in no
	// particular order of the seeds. Nil: never.
	Progress func(Progress)
	Each     func(Run)
}

// Progress reports how far a campaign is.
type Progress struct {
	Runs, Events int64
	Met, Goals   int // coverage goals met so far, of how many
}

// Run is one run of a campaign.
type Run struct {
	Seed    uint64
	Hash    uint64
	Events  int64
	Options string // what was drawn for the run, in one line
}

// Result is what a campaign did and found.
type Result[F any] struct {
	Runs      int64
	Events    int64
	FirstSeed uint64
	LastSeed  uint64        // the highest seed that was run
	Hash      uint64        // of all traces; meaningless after a finding
	Coverage  []Goal        // the coverage goals
	Failure   *F            // the broken invariant of the lowest seed, shrunk; nil when all held
	Unstable  *Unstable     // the run of the lowest seed, if it differed the second time
	Elapsed   time.Duration // wall clock time, without the shrinking
	Stopped   bool          // the context ended the campaign early
}

// Goal is a coverage goal: something that must happen in a campaign, because
// what never happened was never tested.
type Goal struct {
	Sentence string
	Met      uint64 // how often
}

// Unstable is a run that is not a function of its seed.
type Unstable struct {
	Seed          uint64
	First, Second uint64 // the trace hashes
	Options       string
}

// Unmet returns the coverage goals that no run has met.
func (r Result[F]) Unmet() []Goal {
	return slices.DeleteFunc(slices.Clone(r.Coverage), func(g Goal) bool { return g.Met > 0 })
}

// merger adds up the outcomes of all workers.
type merger[F any] struct {
	Options
	mu     sync.Mutex
	found  bool
	lowest uint64    // the lowest seed that found something
	shrink func() *F // of that seed
	result Result[F]
}

// Run runs the seeds. When ctx ends, it returns the result so far with Stopped set.
func (c Campaign[F]) Run(ctx context.Context, o Options) Result[F] {
	m := &merger[F]{Options: o}
	m.result.FirstSeed = o.First
	for _, sentence := range c.Goals {
		m.result.Coverage = append(m.result.Coverage, Goal{Sentence: sentence})
	}
	started := time.Now()
	eachSeed(ctx, o, func() func(uint64) bool {
		worker := c.NewWorker()
		return func(seed uint64) bool {
			out, unstable := runSeed(worker, seed, o.Twice)
			return m.add(seed, out, unstable)
		}
	})
	r := m.result
	r.Elapsed = time.Since(started)
	if m.shrink != nil {
		r.Failure = m.shrink()
	}
	r.Stopped = ctx.Err() != nil && !m.found && r.LastSeed < o.Last
	return r
}

// runSeed runs one seed, a second time if twice is set. A failure of a run that
// differs the second time is dropped: it says nothing about the invariants.
func runSeed[F any](run func(uint64) Outcome[F], seed uint64, twice bool) (out Outcome[F], unstable *Unstable) {
	out = run(seed)
	if !twice {
		return out, nil
	}
	out.Met = slices.Clone(out.Met)
	again := run(seed)
	if again.Hash != out.Hash || (again.Shrink == nil) != (out.Shrink == nil) {
		unstable = &Unstable{seed, out.Hash, again.Hash, out.Options}
		out.Shrink = nil
	}
	return out, unstable
}

// add merges one run and reports whether it found something.
func (m *merger[F]) add(seed uint64, out Outcome[F], unstable *Unstable) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.result
	r.Runs++
	r.Events += out.Events
	r.LastSeed = max(r.LastSeed, seed)
	r.Hash += splitmix.Mix(out.Hash)
	met := 0
	for i, n := range out.Met {
		if r.Coverage[i].Met += n; r.Coverage[i].Met > 0 {
			met++
		}
	}
	found := out.Shrink != nil || unstable != nil
	if found && (!m.found || seed < m.lowest) {
		m.found, m.lowest, m.shrink, r.Unstable = true, seed, out.Shrink, unstable
	}
	if m.Progress != nil {
		m.Progress(Progress{r.Runs, r.Events, met, len(r.Coverage)})
	}
	if m.Each != nil {
		m.Each(Run{seed, out.Hash, out.Events, out.Options})
	}
	return found
}

// Goals returns the sentences of n goals.
func Goals[G ~uint8](n G, sentence func(G) string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = sentence(G(i))
	}
	return all
}

// Shorten shrinks a list: it offers ranges to remove, halves first, then always
// shorter ones, each from the end of the list, and repeats a length while it
// helps. remove reports whether it removed the range, because the failure is still
// there without it.
func Shorten(length func() int, remove func(from, to int) bool) {
	for size := length() / 2; size > 0; {
		removed := false
		for from := length() - size; from >= 0; from -= size {
			if from+size <= length() && remove(from, from+size) {
				removed = true
			}
		}
		if !removed || size > length() {
			size /= 2
		}
	}
}

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
