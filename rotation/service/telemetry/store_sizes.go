package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cvvrotation/rotation/engine/store"
)

// Sizes returns a collector of the store's sizes: cards, backlog, outbox. It
// asks the store at each scrape, and waits no longer than the timeout. When the
// store fails, cvv_store_up is 0 and the others are left out.
func Sizes(s store.Store, timeout time.Duration) prometheus.Collector {
	return &sizes{s, timeout}
}

type sizes struct {
	store   store.Store
	timeout time.Duration
}

func gauge(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

var (
	storeUp       = gauge("cvv_store_up", "1 when the store answers, else 0.")
	cards         = gauge("cvv_cards", "Registered cards; may be an estimate.")
	backlog       = gauge("cvv_due_backlog_cards", "Cards whose automatic rotation is due, or to be tried again.")
	oldestDue     = gauge("cvv_due_oldest_seconds", "How long the card that is due longest has been due; 0 when none is.")
	failingCards  = gauge("cvv_failing_cards", "Cards whose last automatic rotation failed.")
	outboxPending = gauge("cvv_outbox_pending_events", "Events waiting to be delivered.")
	outboxOldest  = gauge("cvv_outbox_oldest_seconds", "How long the event that waits longest has waited; 0 when none waits.")
	outboxParked  = gauge("cvv_outbox_parked_events", "Events given up, until a replay.")
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

// since returns the seconds from t to now; 0 when t is ahead, or no instant.
func since(now, t time.Time) float64 {
	if t.IsZero() || t.After(now) {
		return 0
	}
	return now.Sub(t).Seconds()
}
