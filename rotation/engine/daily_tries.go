package engine

import (
	"encoding/binary"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// tryWindow is how long a failed attempt counts.
const tryWindow = 24 * time.Hour

// maxDailyTries is the largest MaxDailyTries: a card stores 8 bytes for each try.
const maxDailyTries = 1000

// dailyTries returns when the failed attempts were made that count at now, and whether
// it moved one of them. An attempt ahead of now, made before the clock stepped back,
// counts. One that is ahead by more than the window is moved to now, or a clock that was
// years ahead would block the card for years.
func dailyTries(c *store.Card, now time.Time) (tries []time.Time, moved bool) {
	for at := c.FailedAt; len(at) >= 8; at = at[8:] {
		t := time.Unix(0, int64(binary.BigEndian.Uint64(at))).UTC()
		if t.Sub(now) > tryWindow {
			t, moved = now, true
		}
		if now.Sub(t) < tryWindow {
			tries = append(tries, t)
		}
	}
	return tries, moved
}

// setDailyTries stores the attempts in the card.
func setDailyTries(c *store.Card, tries []time.Time) {
	c.FailedAt = nil
	for _, t := range tries {
		c.FailedAt = binary.BigEndian.AppendUint64(c.FailedAt, uint64(t.UnixNano()))
	}
}

// throttledUntil returns when fewer than limit of the attempts will count; the zero time
// if that is so already.
func throttledUntil(tries []time.Time, limit int) time.Time {
	if len(tries) < limit {
		return time.Time{}
	}
	tries = slices.SortedFunc(slices.Values(tries), time.Time.Compare)
	return tries[len(tries)-limit].Add(tryWindow)
}
