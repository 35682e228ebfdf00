package enginecheck

import (
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

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

// start is when every run starts.
const start = 1_795_348_800 * int64(time.Second) // 2026-11-22T12:00:00Z

const (
	guard = rotation.DefaultGuard
	day   = 24 * time.Hour
	year  = 365 * day
)

// options are all that is drawn for a run before it starts.
type options struct {
	cards, replicas, steps int
	batch, maxTries, daily int
	grace                  time.Duration
	derived                bool
	skew                   [maxReplicas]time.Duration // how far a replica's own clock is ahead of the store's
	faults                 int64                      // steps with a fault, in 256
	jumps, poison          bool                       // the store's clock steps; generators fail
	intervals              []time.Duration
	rules                  rotation.Rules
}

const (
	maxCards    = 4
	maxReplicas = 3
)

func drawOptions(seed uint64) (o options) {
	s := newStream(seed, 1<<63)
	o.cards, o.replicas, o.steps = 1+int(s.Below(maxCards)), 1+int(s.Below(maxReplicas)), 40+int(s.Below(160))
	o.batch, o.maxTries = splitmix.Pick(&s, 1, 2, 1000), splitmix.Pick(&s, 2, 3)
	o.grace = splitmix.Pick(&s, 0, 0, time.Minute, 10*time.Minute, 2*day)
	o.derived = s.OneIn(3)
	for i := range o.skew {
		o.skew[i] = splitmix.Pick(&s, 0, 0, time.Second, -time.Minute, guard, time.Hour, -day)
	}
	o.faults = splitmix.Pick(&s, int64(0), 32, 96)
	o.jumps, o.poison = s.OneIn(3), s.OneIn(3)
	for range 1 + s.Below(3) {
		o.intervals = append(o.intervals, splitmix.Pick(&s, guard+1, 3*time.Minute, 5*time.Minute, time.Hour, day, 7*day))
	}
	from := splitmix.Pick(&s, rotation.GuardFromRequest, rotation.GuardFromRequest, rotation.GuardFromScheduling)
	o.rules, _ = rotation.NewRules(splitmix.Pick(&s, guard, guard, guard, 0, 1, 30*time.Second, 3*time.Hour), from)
	for i, interval := range o.intervals {
		o.intervals[i] += max(0, o.rules.Guard()-guard)
		if interval == guard+1 {
			o.intervals[i] = o.shortest()
		}
	}
	o.daily = splitmix.Pick(&s, 3, 5, 20)
	return o
}

// shortest returns the shortest interval that the rules accept and events can report.
func (o options) shortest() time.Duration { return max(o.rules.Guard()+1, time.Microsecond) }

// model returns the rules of the reference model.
func (o options) model() model.Rules {
	return model.Rules{Guard: o.rules.Guard(), FromScheduling: o.rules.GuardFrom() == rotation.GuardFromScheduling}
}

// String returns the options in one line.
func (o options) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cards=%d replicas=%d steps=%d batch=%d tries=%d daily=%d grace=%v derived=%v faults=%d jumps=%v poison=%v skew=",
		o.cards, o.replicas, o.steps, o.batch, o.maxTries, o.daily, o.grace, o.derived, o.faults, o.jumps, o.poison)
	for i := range o.replicas {
		fmt.Fprintf(&b, "%v,", o.skew[i])
	}
	fmt.Fprintf(&b, " intervals=%v guard=%v from=%v", o.intervals, o.rules.Guard(), o.rules.GuardFrom())
	return b.String()
}
