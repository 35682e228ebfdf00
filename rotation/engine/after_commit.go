package engine

// committed reports a change that is stored: to the observer, to the relay, and
// to Run, which may sleep for too long. In a transaction of the service's own it waits
// for Tx.Committed.
func (e *Engine) committed(out outcome) {
	if e.tx != nil {
		e.tx.pending = append(e.tx.pending, out)
		return
	}
	e.observer.Decided(out.Observation)
	if out.wrote {
		e.options.Written()
	}
	e.wakeFor(out.due)
}
