package enginecheck

import (
	"time"
)

// settle ends the faults and checks that the replicas finish all open work.
func (r *run) settle() {
	r.note("the faults end")
	r.o.jumps = false
	clear(r.poisoned)
	rep := r.replicas[0]
	calm := func() *plan { return &plan{} }
	for len(r.pending) > 0 && r.failure == nil {
		r.retry(rep, calm())
		r.compare()
	}
	none := newStream(r.seed, 1<<61)
	r.sweep(&none, rep, calm())
	r.compare()
	for range 3 {
		for _, l := range r.cards {
			l.lastAutomatic = l.automatic
			for _, at := range []time.Time{l.due, l.state.Next.Time} { // a retry may be due before the slot
				if !at.IsZero() {
					r.now = max(r.now, at.UnixNano())
				}
			}
		}
		for i := 0; len(r.dueCards()) > 0 && r.failure == nil; i++ {
			if i > 100 {
				r.violate(alive, "cards stay due after 100 claims")
			}
			r.tick(r.replicas[i%len(r.replicas)], calm())
			r.compare()
		}
		for _, l := range r.cards {
			if l.state.Interval != 0 && l.automatic == l.lastAutomatic {
				r.violate(alive, "%s did not rotate after the faults had ended, although its slot had passed", l.ref.Card)
			}
		}
	}
	if r.failure != nil {
		return
	}
	r.drain()
	r.audit()
}
