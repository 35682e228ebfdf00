package check

import (
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// Campaign returns the search by simulation: each run simulates a host of the
// system, drawn from its seed. If the system is [Configurable], the seed also draws
// its guard and what that is measured from: in a third of the runs they are the
// system's own. The bug selects a mistake of the host; the zero Bug is a host without
// one. A nil system defaults to the rules with a guard of 2 minutes.
func Campaign(s System, b Bug) campaign.Campaign[Failure] {
	if s == nil {
		s = Rules(rotation.Rules{})
	}
	return campaign.Campaign[Failure]{Goals: Goals(), NewWorker: func() func(uint64) campaign.Outcome[Failure] {
		hosts := hosts{system: s, bug: b}
		return func(seed uint64) campaign.Outcome[Failure] {
			h := hosts.run(seed)
			o := h.o
			out := campaign.Outcome[Failure]{Hash: h.hash, Events: int64(h.events), Options: o.String(), Met: h.coverage[:]}
			if h.failure != nil {
				f := &finding{h.system, b, seed, o, h.failure, slices.Clone(h.cards[h.failure.card].trace)}
				out.Shrink = func() *Failure { return f.underOwnRules(s).shrink() }
			}
			return out
		}
	}}
}

// fixed is a system whose rules are not drawn.
type fixed struct{ System }

// underOwnRules returns a run that breaks the same invariant under the system's own
// rules, if one of a few does: other rules distract who reads the failure.
func (r *finding) underOwnRules(own System) *finding {
	if r.options.rules == own.Rules() {
		return r
	}
	h, o := newHost(own, r.bug), drawOptions(r.seed, fixed{own})
	for o.again = 0; o.again < 30; o.again++ {
		if h.run(r.seed, o); h.failure != nil && h.failure.first() == r.failure.first() {
			return &finding{own, r.bug, r.seed, o, h.failure, slices.Clone(h.cards[h.failure.card].trace)}
		}
	}
	return r
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
