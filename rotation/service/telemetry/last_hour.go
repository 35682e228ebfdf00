package telemetry

import (
	"math"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Minutes is the number of minutes in an Hour, including the current one.
const Minutes = 60

// Lateness is counted in buckets. The first one ends at 1 ms, each further one at
// 2^(1/4) times the end of its predecessor, so quantiles are exact to 19 %.
const (
	latenessBuckets = 4*27 + 1 // up to 1 ms · 2²⁷ (37 hours)
	perOctave       = 4
)

// Recent keeps the rotations of one process in the last hour, in constant memory.
type Recent struct {
	clock clock.Clock

	mu   sync.Mutex
	ring [Minutes]minute
}

// minute counts the rotations of one minute.
type minute struct {
	number    int64 // minutes since 1970
	rotations int64
	automatic int64
	late      [latenessBuckets]uint32
}

func newRecent(clk clock.Clock) *Recent { return &Recent{clock: clk} }

// Hour is a summary of the last hour.
type Hour struct {
	PerMinute [Minutes]int64 // rotations; the current minute is the last element
	Total     int64          // rotations
	Automatic int64          // automatic rotations among them
	P50, P99  time.Duration  // lateness of automatic rotations, rounded up by up to 19 %; 0 if there were none
}

func (r *Recent) add(automatic bool, lateness time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.number()
	m := &r.ring[number%Minutes]
	if m.number != number {
		*m = minute{number: number}
	}
	m.rotations++
	if automatic {
		m.automatic++
		m.late[bucket(lateness)]++
	}
}

func (r *Recent) number() int64 { return max(r.clock.Now().Unix()/60, 0) }

// Hour summarizes the last hour.
func (r *Recent) Hour() Hour {
	r.mu.Lock()
	defer r.mu.Unlock()
	var h Hour
	var late [latenessBuckets]int64
	now := r.number()
	for i := range r.ring {
		m := &r.ring[i]
		age := now - m.number
		if age < 0 || age >= Minutes {
			continue
		}
		h.PerMinute[Minutes-1-age] = m.rotations
		h.Total += m.rotations
		h.Automatic += m.automatic
		for b, n := range m.late {
			late[b] += int64(n)
		}
	}
	h.P50, h.P99 = quantile(&late, h.Automatic, 0.5), quantile(&late, h.Automatic, 0.99)
	return h
}

// bucket returns the first bucket that ends at or after d.
func bucket(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	octaves := math.Log2(float64(d) / float64(time.Millisecond))
	return min(int(math.Ceil(octaves*perOctave-1e-9)), latenessBuckets-1)
}

// quantile returns the end of the bucket that contains the quantile.
func quantile(late *[latenessBuckets]int64, total int64, q float64) time.Duration {
	rank := int64(math.Ceil(q * float64(total)))
	if rank == 0 {
		return 0
	}
	for b, n := range late {
		rank -= n
		if rank <= 0 {
			return time.Duration(float64(time.Millisecond) * math.Exp2(float64(b)/perOctave))
		}
	}
	return 0
}
