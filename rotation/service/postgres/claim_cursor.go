package postgres

import (
	"math"
	"sync"
	"time"
)

// everything is the position from which a scan finds all due cards.
const everything = math.MinInt64

// claimCursor is the Due from which claims scan for cards. A rotation leaves a dead
// entry in the index on due until vacuum removes it, which vacuum cannot while any
// snapshot is held. Each claim would then read the dead entries of all previous
// claims. So a claim starts where the previous one ended.
//
// Cards can be left below the cursor: they were locked when a claim passed them,
// another process made them due, or the claim that had found them failed. If this
// store knows of it, it moves the cursor back. For the rest, a claim scans from the
// beginning whenever it finds fewer cards than its limit. Under a lasting backlog
// it does so every second, or less often if that costs more than a twentieth of the
// time. So the cursor may delay a card, but never loses it.
type claimCursor struct {
	mu     sync.Mutex
	set    bool
	low    int64
	rescan time.Time // when to scan from the beginning
}

// The time between two scans from the beginning is rescanEvery, and at least
// rescanRatio times the duration of the scan.
const (
	rescanEvery = time.Second
	rescanRatio = 20
)

// from returns the Due from which the next claim scans.
func (c *claimCursor) from(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set || !now.Before(c.rescan) {
		return everything
	}
	return c.low
}

// reset makes the next claim scan from the beginning.
func (c *claimCursor) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = false
}

// found moves the cursor after a scan from the given Due, which took the given
// time: to the Due of its last card, or everything if it found fewer than its limit.
func (c *claimCursor) found(from, last int64, now time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == everything {
		c.rescan = now.Add(max(rescanEvery, rescanRatio*took))
		c.set, c.low = last != everything, last
		return
	}
	if last == everything {
		c.set = false
	} else if c.set {
		c.low = max(c.low, last)
	}
}

// written moves the cursor back to cards that are due before it.
func (c *claimCursor) written(cards ...*lockedRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range cards {
		due := l.before.Due
		if l.change.Write {
			due = l.change.Card.Due
		}
		if !due.IsZero() {
			c.low = min(c.low, due.UnixNano())
		}
	}
}
