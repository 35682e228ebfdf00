package check

import (
	"context"
	"cvvrotation/sim/internal/splitmix"
	"slices"
	"sync"
	"time"
)

// Campaign is a search by simulation: many runs, each drawn from a seed. What
// it finds does not depend on the number of workers.
type Campaign struct {
	System  System
	Bug     Bug           // whose host to simulate; the zero Bug: a host without a mistake
	First   uint64        // the first seed
	Last    uint64        // the last one, inclusive
	For     time.Duration // stop taking up runs after so long; 0: never
	Workers int           // goroutines; 0: one for each processor
	Twice   bool          // do each run twice and compare the trace hashes

	// Both are called after each run, one call at a time, in no order of the
	// seeds; nil: never.
	Progress func(Progress)
	Each     func(Run)
}

// Progress is how far a campaign has got.
type Progress struct {
	Runs, Events int64
	Met, Places  int // situations met so far, of how many
}

// Run is one run of a campaign.
type Run struct {
	Seed    uint64
	Hash    uint64
	Events  int
	Options string // all that was drawn for it, in one line
}

// Result is what a campaign did and found.
type Result struct {
	Runs      int64
	Events    int64
	FirstSeed uint64
	LastSeed  uint64        // the last seed that was run
	Hash      uint64        // of all traces; of no meaning after a finding
	Places    []Place       // the situations and how often each was met
	Failure   *Failure      // the broken invariant of the lowest seed, nil when all held
	Unstable  *Unstable     // the run of the lowest seed that came out differently the second time, or nil
	Elapsed   time.Duration // by the wall clock, without the shrinking
	Stopped   bool          // the context ended it early
}

// Place is a situation that a campaign must have met, and how often it has.
type Place struct {
	Sentence string
	Met      uint64
}

// Unstable is a run that is not a function of its seed.
type Unstable struct {
	Seed          uint64
	First, Second uint64 // the trace hashes
	Options       string
}

// Never returns the situations that were never met.
func (r Result) Never() []Place {
	return slices.DeleteFunc(slices.Clone(r.Places), func(p Place) bool { return p.Met > 0 })
}

// hunt is a campaign under way.
type hunt struct {
	Campaign
	mu     sync.Mutex
	found  *finding // of the lowest seed
	result Result
	places places
}

// finding is what a run brought to light.
type finding struct {
	seed     uint64
	options  options
	failure  *runFailure
	trace    []traced // of the card
	unstable *Unstable
}

// Run does the campaign. When ctx ends it returns what it has by then, with
// Stopped set.
func (c Campaign) Run(ctx context.Context) Result {
	h := &hunt{Campaign: c}
	started := time.Now()
	Seeds{c.First, c.Last, c.For, c.Workers}.Run(ctx, func() func(uint64) bool {
		host := &host{system: h.System, guard: h.System.Guard(), bug: h.Bug.host}
		return func(seed uint64) bool { return h.one(host, seed) }
	})

	r := h.result
	r.FirstSeed, r.Elapsed = h.First, time.Since(started)
	for p, met := range h.places {
		r.Places = append(r.Places, Place{place(p).sentence(), met})
	}
	if h.found != nil {
		r.Unstable = h.found.unstable
		if h.found.failure != nil {
			r.Failure = h.fail(h.found)
		}
	}
	r.Stopped = ctx.Err() != nil && h.found == nil && r.LastSeed < c.Last
	return r
}

// one does the run of one seed, and reports whether it found something.
func (h *hunt) one(host *host, seed uint64) bool {
	f := &finding{seed: seed, options: drawOptions(seed)}
	host.run(seed, f.options)
	hash, events := host.hash, host.events
	if host.failure != nil {
		f.failure, f.trace = host.failure, slices.Clone(host.cards[host.failure.card].trace)
	}
	if h.Twice {
		before := host.places
		host.run(seed, f.options)
		if host.hash != hash || (host.failure == nil) != (f.failure == nil) {
			f.unstable, f.failure = &Unstable{seed, hash, host.hash, f.options.String()}, nil
		}
		host.places = before
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result.Runs++
	h.result.Events += int64(events)
	h.result.LastSeed = max(h.result.LastSeed, seed)
	h.result.Hash += splitmix.Mix(hash)
	met := 0
	for p, n := range host.places {
		if h.places[p] += n; h.places[p] > 0 {
			met++
		}
	}
	host.places = places{}
	found := f.failure != nil || f.unstable != nil
	if found && (h.found == nil || seed < h.found.seed) {
		h.found = f
	}
	if h.Progress != nil {
		h.Progress(Progress{h.result.Runs, h.result.Events, met, len(h.places)})
	}
	if h.Each != nil {
		h.Each(Run{seed, hash, events, f.options.String()})
	}
	return found
}
