package enginecheck

import (
	"context"
	"errors"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
)

// plan is the fault of one call of the store.
type plan struct {
	call  memory.Call
	skip  int // such calls that succeed first
	kind  faultKind
	race  func()
	fired bool
	card  string // of the call
	stop  func()
}

type faultKind uint8

const (
	noFault     faultKind = iota
	faultBefore           // the call fails before its commit
	faultAfter            // its reply is lost
	faultAgain            // the store retries the transaction
	faultStall            // the caller cancels the call
	faultRace             // another replica comes first
	faultKill             // the store's process is killed
)

var faultNames = [...]string{
	faultBefore: "fails before its commit", faultAfter: "loses its reply", faultAgain: "is retried by the store",
	faultStall: "stalls until the caller cancels it", faultRace: "loses a race against another replica", faultKill: "ends with the store killed before its commit",
}

// faults returns the fault of a call; the store asks before each.
func (r *run) faults(op memory.Op) (f memory.Fault) {
	p := r.plan
	if p == nil || op.Call != p.call {
		return f
	}
	if p.skip > 0 {
		p.skip--
		return f
	}
	r.plan = nil
	p.fired, p.card = true, op.Card
	if p.kind != noFault {
		r.note("  the call %s", faultNames[p.kind])
	}
	switch p.kind {
	case faultBefore:
		f.Before = memory.ErrInjected
	case faultAfter:
		f.After = memory.ErrInjected
	case faultAgain:
		f.Again = true
	case faultStall:
		f.Stall = make(chan struct{})
		p.stop()
	case faultRace:
		f.Race = p.race
		f.Again = op.Call == memory.CallUpdate && r.now%2 == 0
	case faultKill:
		f.Race = func() { r.base = r.base.Reopen(memory.Options{Clock: runClock{ns: &r.now}}) }
	}
	return f
}

// call runs a call of an engine with the planned fault.
func (r *run) call(p *plan, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	p.stop = cancel
	if p.kind != noFault {
		r.plan = p
	}
	err := f(ctx)
	r.plan = nil
	if p.fired && p.kind == faultKill {
		r.base.SetFaults(r.faults)
		for i := range r.replicas {
			r.start(i)
		}
	}
	return err
}

// checkAnswer compares the error of a call with what the fault and the expected
// state allow. It returns whether the call was done, and whether it was answered.
func (r *run) checkAnswer(p *plan, what string, err, want error) (done, replied bool) {
	return r.checkCall(answersRight, p, what, err, want)
}

// checkCall is checkAnswer with the invariant that a difference breaks.
func (r *run) checkCall(i Invariant, p *plan, what string, err, want error) (done, replied bool) {
	kind := p.kind
	if !p.fired {
		kind = noFault
	}
	if p.fired {
		r.coverage.fault(p)
	}
	unless := func(ok bool) {
		if !ok {
			r.violate(i, "%s: %s, want %s", what, describeError(err), describeError(want))
		}
	}
	switch {
	case kind == faultStall:
		if want = context.Canceled; !errors.Is(err, want) {
			unless(false)
		}
		return false, false
	case want != nil:
		unless(errors.Is(err, want))
		return false, true
	case kind == faultBefore:
		want = memory.ErrInjected
		unless(errors.Is(err, want))
		return false, false
	case kind == faultKill:
		want = store.ErrClosed
		unless(errors.Is(err, want))
		return false, false
	case kind == faultAfter:
		want = memory.ErrInjected
		unless(errors.Is(err, want))
		return true, false
	}
	unless(err == nil)
	return true, true
}
