package api

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxLimited is the maximum number of keys in each of a limiter's two generations,
// at about 200 bytes a key.
const maxLimited = 50_000

// limiter is a token bucket for each key, in bounded memory. Keys live in a young and
// an old generation. The young one becomes the old one when it is full, or after the
// time in which an empty bucket fills up. So a key is dropped when its bucket would be
// full again, or when there are too many others.
type limiter struct {
	rate Rate

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
	turned     time.Time
}

func newLimiter(r Rate) *limiter {
	return &limiter{rate: r, young: make(map[string]*rate.Limiter)}
}

// take removes a token from the key's bucket and returns 0. If there is none, it
// returns how long to wait.
func (l *limiter) take(key string, now time.Time) time.Duration {
	if l.rate == (Rate{}) {
		return 0
	}
	r := l.bucket(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) bucket(key string, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.young) >= maxLimited || now.Sub(l.turned).Seconds() > float64(l.rate.Burst)/l.rate.PerSecond {
		l.old, l.young, l.turned = l.young, make(map[string]*rate.Limiter), now
	}
	b, ok := l.young[key]
	if !ok {
		if b, ok = l.old[key]; !ok {
			b = rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
		}
		l.young[key] = b
	}
	return b
}

// seconds formats a duration for Retry-After: whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
