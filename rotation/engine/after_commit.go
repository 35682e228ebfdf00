package engine

// committed reports a change that is stored: to the observer, to the relay, and
// to Run, which may sleep for too long.
func (e *Engine) committed(out outcome) {
	e.observer.Decided(out.Observation)
	if out.wrote {
		e.options.Written()
	}
	e.wakeFor(out.due)
}
