package enginecheck

import "cvvrotation/sim/check/campaign"

// Campaign returns the search with several replicas on one store. The zero Bug
// is the engine as it is.
func Campaign(b Bug) campaign.Campaign[Failure] {
	return campaign.Campaign[Failure]{Goals: Goals(), NewWorker: func() func(uint64) campaign.Outcome[Failure] {
		return func(seed uint64) campaign.Outcome[Failure] {
			o, r := drawOptions(seed), &run{bug: b}
			r.perform(seed, o, stepsOf(o))
			out := campaign.Outcome[Failure]{Hash: r.hash, Events: r.events, Options: o.String(), Met: r.coverage[:]}
			if r.failure != nil {
				out.Shrink = func() *Failure { return shrink(b, seed) }
			}
			return out
		}
	}}
}

// Failure is a broken invariant, with the fewest steps found that still break it.
type Failure struct {
	Invariant Invariant
	Detail    string
	Seed      uint64
	Options   string
	Found     int      // steps up to the failure, before shrinking
	Steps     int      // and after
	Journal   []string // what happened in these steps
}
