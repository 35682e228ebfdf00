// Package mocks finds the timers that run on a mock clock, for package timerstest.
package mocks

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Timers is what timerstest uses of timers.Timers.
type Timers interface {
	Tick(ctx context.Context) (next time.Time, armed bool)
}

var (
	mu    sync.Mutex
	users = map[*clock.Mock][]Timers{}
)

// Add records that the timers run on the clock.
func Add(mock *clock.Mock, t Timers) {
	mu.Lock()
	defer mu.Unlock()
	users[mock] = append(users[mock], t)
}

// Remove removes what Add has recorded.
func Remove(mock *clock.Mock, t Timers) {
	mu.Lock()
	defer mu.Unlock()
	users[mock] = slices.DeleteFunc(slices.Clone(users[mock]), func(u Timers) bool { return u == t })
	if len(users[mock]) == 0 {
		delete(users, mock)
	}
}

// Of returns the timers that run on the clock, in the order of Add.
func Of(mock *clock.Mock) []Timers {
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(users[mock])
}
