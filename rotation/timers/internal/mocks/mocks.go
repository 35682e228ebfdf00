// Package mocks finds the timers that run on a mock clock, for package timerstest.
package mocks

import (
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Timers is what timerstest needs of a timers.Timers.
type Timers struct {
	// Settle waits until no card is due and no callback is running. It returns
	// the earliest instant for which a card is armed, and how many callbacks
	// have returned so far.
	Settle func() (next time.Time, armed bool, callbacks int)
}

var (
	mu    sync.Mutex
	users = map[*clock.Mock][]*Timers{}
)

// Add records that the timers run on the clock.
func Add(mock *clock.Mock, t *Timers) {
	mu.Lock()
	defer mu.Unlock()
	users[mock] = append(users[mock], t)
}

// Remove removes what Add has recorded.
func Remove(mock *clock.Mock, t *Timers) {
	mu.Lock()
	defer mu.Unlock()
	users[mock] = slices.DeleteFunc(users[mock], func(u *Timers) bool { return u == t })
	if len(users[mock]) == 0 {
		delete(users, mock)
	}
}

// Of returns the timers that run on the clock, in the order of Add.
func Of(mock *clock.Mock) []*Timers {
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(users[mock])
}
