package postgres

import (
	"math"
	"sync"
	"time"
)

// everything is a cursor from which all cards are found.
const everything = math.MinInt64

// cursor is the Due from which claims look for cards. A rotation leaves a dead
// entry in the index on Due until vacuum removes it, and while a snapshot is
// held anywhere, vacuum can't: then each claim would wade through the entries
// of all claims before it. So a claim starts where the last one ended.
//
// Cards can be left below it: locked while claims went past, put there by
// another process, taken back with a claim that failed. What this store knows
// of takes the cursor back. For the rest a claim looks from the beginning
// whenever one finds fewer cards than asked for, and under a lasting backlog
// every second, or less often where that takes more than a twentieth of the
// time. So the cursor delays a card and never loses it.
type cursor struct {
	mu    sync.Mutex
	set   bool
	low   int64
	sweep time.Time // when to look from the beginning
}

// The time from one sweep to the next is sweepEvery, and at least sweepShare
// times what the sweep took.
const (
	sweepEvery = time.Second
	sweepShare = 20
)

// from returns where a claim looks from.
func (c *cursor) from(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set || !now.Before(c.sweep) {
		return everything
	}
	return c.low
}

// reset makes the next claim look from the beginning.
func (c *cursor) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = false
}

// found moves the cursor to the last card that a claim found, everything where
// there was none beyond. Looking took so long.
func (c *cursor) found(from, last int64, now time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == everything {
		c.sweep = now.Add(max(sweepEvery, sweepShare*took))
		c.set, c.low = last != everything, last
		return
	}
	if last == everything {
		c.set = false
	} else if c.set {
		c.low = max(c.low, last)
	}
}

// written takes the cursor back to cards that are due before it.
func (c *cursor) written(cards ...*locked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range cards {
		due := l.before.Due
		if l.tx.Write {
			due = l.tx.Card.Due
		}
		if !due.IsZero() {
			c.low = min(c.low, due.UnixNano())
		}
	}
}
