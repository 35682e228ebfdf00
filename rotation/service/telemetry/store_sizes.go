package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/arguments"
)

// Sizes returns a collector of the store's sizes: cards, backlog and outbox. Each
// scrape queries the store, up to the timeout. If the query fails, cvv_store_up is 0
// and the other metrics are absent. It returns an error if s is nil or the timeout is
// not positive.
func Sizes(s StatsReader, timeout time.Duration) (prometheus.Collector, error) {
	if arguments.Missing(s) || timeout <= 0 {
		return nil, errors.New("telemetry: a store and a positive timeout are required")
	}
	return &sizes{s, timeout}, nil
}

// StatsReader is what Sizes needs of a store.
type StatsReader interface {
	Stats(context.Context) (store.Stats, error)
	Now(context.Context) (time.Time, error)
}

type sizes struct {
	store   StatsReader
	timeout time.Duration
}

func gauge(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

var (
	storeUp       = gauge("cvv_store_up", "1 if the store answers, else 0.")
	cards         = gauge("cvv_cards", "Registered cards. May be an estimate.")
	backlog       = gauge("cvv_due_backlog_cards", "Cards whose automatic rotation is due or waits for a retry.")
	oldestDue     = gauge("cvv_due_oldest_seconds", "Age of the oldest due rotation; 0 if no card is due.")
	failingCards  = gauge("cvv_failing_cards", "Cards whose last automatic rotation failed.")
	outboxPending = gauge("cvv_outbox_pending_events", "Events that wait for delivery.")
	outboxOldest  = gauge("cvv_outbox_oldest_seconds", "Age of the oldest event that waits for delivery; 0 if none waits.")
	outboxParked  = gauge("cvv_outbox_parked_events", "Parked (dead-lettered) events. cvvd events replay requeues them.")
)

// Describe implements prometheus.Collector.
func (s *sizes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeUp, cards, backlog, oldestDue, failingCards, outboxPending, outboxOldest, outboxParked} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *sizes) Collect(ch chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	stats, err := s.store.Stats(ctx)
	var now time.Time
	if err == nil {
		now, err = s.store.Now(ctx)
	}
	if err != nil {
		put(storeUp, 0)
		return
	}
	put(storeUp, 1)
	put(cards, float64(stats.Cards))
	put(backlog, float64(stats.Backlog))
	put(oldestDue, since(now, stats.OldestDue))
	put(failingCards, float64(stats.Failing))
	put(outboxPending, float64(stats.Waiting))
	put(outboxOldest, since(now, stats.OldestWaiting))
	put(outboxParked, float64(stats.Parked))
}

// since returns the seconds from t to now. It returns 0 if t is zero or later than now.
func since(now, t time.Time) float64 {
	if t.IsZero() || t.After(now) {
		return 0
	}
	return now.Sub(t).Seconds()
}
