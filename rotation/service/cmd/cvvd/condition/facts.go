package condition

import (
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
)

// facts is what the conditions are decided from.
type facts struct {
	// As of the latest check of the store:
	nowErr   error     // the store did not respond
	statsErr error     // the store reported no figures
	storeNow time.Time // the store's time
	stats    store.Stats
	report   store.RelayReport // of the holder of the outbox lease

	// As of now:
	now           time.Time // this process's time
	writes, audit State
	keys          bool // there are token signing keys to load
	keysLoaded    time.Time
	relay         outbox.State
	stopping      bool
	totals        *history
}

// age returns how old an instant of the store is; 0 if it is zero.
func (f *facts) age(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(f.storeNow.Sub(t), 0).Round(time.Second)
}

// reported reports whether the holder of the outbox lease has reported lately.
func (f *facts) reported() bool {
	return !f.report.At.IsZero() && f.storeNow.Sub(f.report.At) < reportStale
}

// increase returns what this process has counted within the window, which ends now.
func (f *facts) increase(window time.Duration) telemetry.Totals {
	return f.totals.increase(f.now, window)
}

// history has a sample of the totals for each of the last 360 steps of 10 seconds, a
// little less than an hour to a little more.
type history struct {
	samples []sample // oldest first
	latest  telemetry.Totals
}

type sample struct {
	at     time.Time
	totals telemetry.Totals
}

const (
	sampleEvery = 10 * time.Second
	longest     = time.Hour
)

// add adds the totals as of now.
func (h *history) add(now time.Time, t telemetry.Totals) {
	h.latest = t
	if n := len(h.samples); n > 0 && now.Sub(h.samples[n-1].at) < sampleEvery && !now.Before(h.samples[n-1].at) {
		return
	}
	h.samples = append(h.samples, sample{now, t})
	for len(h.samples) > 1 && now.Sub(h.samples[1].at) >= longest {
		h.samples = h.samples[1:]
	}
}

// increase returns the latest totals less those at the start of the window; the process
// began with zero.
func (h *history) increase(now time.Time, window time.Duration) telemetry.Totals {
	var before telemetry.Totals
	for _, s := range h.samples {
		if now.Sub(s.at) < window {
			break
		}
		before = s.totals
	}
	return h.latest.Sub(before)
}
