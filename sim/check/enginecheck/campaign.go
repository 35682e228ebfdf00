package enginecheck

import (
	"context"
	"sync"
	"time"

	"cvvrotation/sim/check"
	"cvvrotation/sim/internal/splitmix"
)

// Campaign is many runs, each drawn from a seed. What it finds does not depend
// on the number of workers.
type Campaign struct {
	Bug     Bug           // the zero Bug: the engine as it is
	First   uint64        // the first seed
	Last    uint64        // the last one, inclusive
	For     time.Duration // stop taking up runs after so long; 0: never
	Workers int           // goroutines; 0: one for each processor
	Twice   bool          // do each run twice and compare the trace hashes

	Progress func(check.Progress) // called after each run; nil: never
	Each     func(check.Run)      // called after each run, in no order of the seeds; nil: never
}

// Result is what a campaign did and found.
type Result struct {
	Runs     int64
	Events   int64 // calls and claimed cards
	LastSeed uint64
	Hash     uint64 // of all traces; of no meaning after a finding
	Places   []check.Place
	Failure  *Failure        // of the lowest seed, nil when all held
	Unstable *check.Unstable // the run of the lowest seed that came out differently the second time, or nil
	Elapsed  time.Duration   // without the shrinking
}

// Failure is a broken invariant, with the fewest steps found that still break
// it.
type Failure struct {
	Invariant Invariant
	Detail    string
	Seed      uint64
	Options   string
	Found     int      // steps up to the failure, before shrinking
	Steps     int      // and after
	Journal   []string // what happened in these steps
}

// Run does the campaign, until it is done or ctx ends.
func (c Campaign) Run(ctx context.Context) Result {
	h := &hunt{Campaign: c}
	started := time.Now()
	check.Seeds{First: c.First, Last: c.Last, For: c.For, Workers: c.Workers}.Run(ctx, func() func(uint64) bool { return h.one })
	res := h.result
	res.Elapsed = time.Since(started)
	for p, met := range h.places {
		res.Places = append(res.Places, check.Place{Sentence: place(p).sentence(), Met: met})
	}
	if h.found && res.Unstable == nil {
		res.Failure = shrink(c.Bug, h.lowest)
	}
	return res
}

// Situations returns what a campaign must have met, a sentence each.
func Situations() []string {
	all := make([]string, numPlaces)
	for p := range all {
		all[p] = place(p).sentence()
	}
	return all
}

// hunt is a campaign under way.
type hunt struct {
	Campaign
	mu     sync.Mutex
	found  bool
	lowest uint64 // the lowest seed with a finding
	result Result
	places places
}

// one does the run of one seed, and reports whether it found something.
func (h *hunt) one(seed uint64) bool {
	o := drawOptions(seed)
	r := &run{bug: h.Bug}
	r.perform(seed, o, stepsOf(o))
	var unstable *check.Unstable
	if h.Twice {
		again := &run{bug: h.Bug}
		again.perform(seed, o, stepsOf(o))
		if again.hash != r.hash || (again.failure == nil) != (r.failure == nil) {
			unstable = &check.Unstable{Seed: seed, First: r.hash, Second: again.hash, Options: o.String()}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result.Runs++
	h.result.Events += r.events
	h.result.LastSeed = max(h.result.LastSeed, seed)
	h.result.Hash += splitmix.Mix(r.hash)
	met := 0
	for p, n := range r.places {
		if h.places[p] += n; h.places[p] > 0 {
			met++
		}
	}
	found := r.failure != nil || unstable != nil
	if found && (!h.found || seed < h.lowest) {
		h.found, h.lowest, h.result.Unstable = true, seed, unstable
	}
	if h.Progress != nil {
		h.Progress(check.Progress{Runs: h.result.Runs, Events: h.result.Events, Met: met, Places: len(r.places)})
	}
	if h.Each != nil {
		h.Each(check.Run{Seed: seed, Hash: r.hash, Events: int(r.events), Options: o.String()})
	}
	return found
}
