package enginecheck

import (
	"context"
	"fmt"
	"hash/crc64"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

// run is one run: engines on one store, one step after the other, in one
// goroutine.
type run struct {
	engine.NoObserver
	seed uint64
	o    options
	bug  Bug
	ctx  context.Context

	now       int64
	jumped    time.Duration // the step ahead that will be undone
	base      *memory.Store
	replicas  []*replica
	generator engine.Generator    // decrypts with every key
	keys      [maxReplicas]uint32 // each replica encrypts with key 1 or 2, and decrypts with both
	cards     []*expectedCard
	poisoned  map[string]bool
	claiming  bool
	plan      *plan     // the fault of the next call; nil: none
	keyed     int       // idempotency keys so far
	pending   []pending // keyed calls that were not answered
	sink      map[string]int64
	answers   []engine.Rotation
	number    uint64 // of the step, before shrinking
	draws     uint64 // of CVVs and service codes in this step

	position int64 // of the last event that was compared
	written  []event.Changed
	expected []engine.Observation
	observed []engine.Observation

	coverage coverage
	hash     uint64
	events   int64
	step     int
	failure  *violation
	journal  *[]string // nil: not recorded
}

// violation is an invariant that is broken.
type violation struct {
	invariant Invariant
	detail    string
	step      int
}

// replica is one process with an engine.
type replica struct {
	number int
	store  store.Store // as the engine sees it
	engine *engine.Engine
}

// pending is a keyed call that was not answered.
type pending struct {
	card *expectedCard
	ref  engine.Ref
	req  engine.ForceRequest
}

// step is one step of a run. What it does depends on the seed and its number.
type step struct {
	number uint64
	calm   bool // without its fault
}

func stepsOf(o options) []step {
	steps := make([]step, o.steps)
	for i := range steps {
		steps[i].number = uint64(i)
	}
	return steps
}

// perform runs the steps and then the liveness phase.
func (r *run) perform(seed uint64, o options, steps []step) {
	r.seed, r.o, r.ctx = seed, o, context.Background()
	r.now, r.hash = start, splitmix.Mix(seed)
	r.poisoned, r.sink = map[string]bool{}, map[string]int64{}
	r.generator = r.newGenerator(1, 2)
	r.base = memory.New(memory.Options{Clock: runClock{ns: &r.now}})
	r.base.SetFaults(r.faults)
	r.replicas = make([]*replica, o.replicas)
	for i := range r.replicas {
		r.keys[i] = 1
		r.start(i)
	}
	for i := range o.cards {
		rules, _ := model.New(o.model())
		r.cards = append(r.cards, &expectedCard{
			ref:   engine.Ref{Card: fmt.Sprintf("card-%c", 'A'+i), Account: "acme"},
			rules: rules, answers: map[string]answered{},
		})
	}
	for i, st := range steps {
		r.step = i
		r.runStep(st)
		if r.failure != nil {
			return
		}
	}
	r.step, r.number, r.draws = len(steps), 1<<20, 0
	r.settle()
}

// start gives a replica a new engine, like a process that restarts.
func (r *run) start(i int) {
	clk := runClock{ns: &r.now, by: int64(r.o.skew[i])}
	var s store.Store = r.base
	var g engine.Generator = failing{r.newGenerator(r.keys[i], 3-r.keys[i]), r}
	if r.bug.store != nil {
		s = r.bug.store(s, world{replica: i, clock: clk, grace: r.o.grace})
	}
	if r.bug.generator != nil {
		g = r.bug.generator(g)
	}
	rules := r.o.rules
	if r.bug.rules != nil {
		rules = r.bug.rules(rules)
	}
	e, err := engine.New(s, g, engine.Options{
		Rules: rules, Clock: clk, Grace: r.o.grace, MaxTries: r.o.maxTries, MaxDailyTries: r.o.daily, Batch: r.o.batch, Observer: r,
	})
	if err != nil {
		panic(err) // the options are right
	}
	r.replicas[i] = &replica{i, s, e}
}

// reopen restarts the store and all replicas, as after a kill of the store.
func (r *run) reopen() {
	r.base = r.base.Reopen(memory.Options{Clock: runClock{ns: &r.now}})
	r.base.SetFaults(r.faults)
	for i := range r.replicas {
		r.start(i)
	}
}

// Decided implements engine.Observer.
func (r *run) Decided(o engine.Observation) { r.observed = append(r.observed, o) }

func (r *run) at() time.Time { return time.Unix(0, r.now).UTC() }

func (r *run) settings(l *expectedCard) settings {
	return settings{rules: r.o.rules, now: r.at(), grace: r.o.grace, maxTries: r.o.maxTries, daily: r.o.daily, fails: r.poisoned[l.ref.Card]}
}

// violate records a broken invariant. Only the first counts.
func (r *run) violate(i Invariant, format string, args ...any) {
	if r.failure != nil {
		return
	}
	r.failure = &violation{i, fmt.Sprintf(format, args...), r.step}
	r.note("BROKEN: %s", r.failure.detail)
}

func (r *run) note(format string, args ...any) {
	if r.journal != nil {
		*r.journal = append(*r.journal, r.at().Format(time.RFC3339Nano)+"  "+fmt.Sprintf(format, args...))
	}
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func (r *run) fold(b []byte) { r.hash = splitmix.Mix(r.hash ^ crc64.Checksum(b, crcTable)) }
