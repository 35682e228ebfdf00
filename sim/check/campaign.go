package check

import (
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// Campaign returns the search by simulation: each run simulates a host of the
// system, drawn from its seed. The bug selects a mistake of the host; the zero
// Bug is a host without one. A nil system defaults to the rules with a guard of
// 2 minutes.
func Campaign(s System, b Bug) campaign.Campaign[Failure] {
	if s == nil {
		s = Rules(rotation.Rules{})
	}
	return campaign.Campaign[Failure]{Goals: Goals(), NewWorker: func() func(uint64) campaign.Outcome[Failure] {
		h := newHost(s, b)
		return func(seed uint64) campaign.Outcome[Failure] {
			o := drawOptions(seed)
			h.run(seed, o)
			out := campaign.Outcome[Failure]{Hash: h.hash, Events: int64(h.events), Options: o.String(), Met: h.coverage[:]}
			if h.failure != nil {
				f := &finding{s, b, seed, o, h.failure, slices.Clone(h.cards[h.failure.card].trace)}
				out.Shrink = f.shrink
			}
			return out
		}
	}}
}

// finding is a failed run.
type finding struct {
	system  System
	bug     Bug
	seed    uint64
	options options
	failure *runFailure
	trace   []traced // of the card
}
