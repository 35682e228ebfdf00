package condition

import (
	"sync"
	"time"
)

// Outcomes remembers whether an operation fails: from a failure until the next success.
// The zero value has seen neither. It is safe for concurrent use.
type Outcomes struct {
	mu    sync.Mutex
	state State
}

// State is what Outcomes remembers.
type State struct {
	Err       error     // of the latest attempt; nil: it succeeded, or there was none
	Failures  int       // failed attempts since the last success
	Succeeded time.Time // last success; zero: none
}

// Record records the outcome of an attempt that ended at now.
func (o *Outcomes) Record(now time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.state = State{Succeeded: now}
		return
	}
	o.state.Err = err
	o.state.Failures++
}

// State returns what is remembered.
func (o *Outcomes) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}
