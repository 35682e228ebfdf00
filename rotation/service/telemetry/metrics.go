package telemetry

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// Options configure Metrics. With the zero value, Metrics feeds only Recent.
type Options struct {
	// Registerer receives the metrics. Defaults to none.
	Registerer prometheus.Registerer
	// Tracer receives the spans. Defaults to none.
	Tracer trace.TracerProvider
	// Clock measures durations and places rotations in the last hour. Defaults to
	// the system clock.
	Clock clock.Clock
}

// Metrics counts and measures what the engine, its store, the relay and the endpoint
// do. It implements engine.Observer. Use [New] to make one.
type Metrics struct {
	clock  clock.Clock
	tracer trace.Tracer
	traces trace.TracerProvider
	recent *Recent

	rotations  *prometheus.CounterVec
	idle       *prometheus.CounterVec
	lateness   prometheus.Histogram
	missed     prometheus.Counter
	failures   prometheus.Counter
	repairs    prometheus.Counter
	verdicts   *prometheus.CounterVec
	unlocks    prometheus.Counter
	claimCards prometheus.Histogram
	claimTime  prometheus.Histogram
	storeTime  *prometheus.HistogramVec
	requests   *prometheus.CounterVec
	httpTime   *prometheus.HistogramVec
	inFlight   prometheus.Gauge

	deliveries  *prometheus.CounterVec
	deliveryLag prometheus.Histogram
}

var _ engine.Observer = (*Metrics)(nil)

const tracerName = "cvvrotation/rotation/service/telemetry"

// New returns metrics and registers them. It returns an error if the registerer
// refuses one, for example because it has one of that name.
func New(o Options) (*Metrics, error) {
	o.Clock = cmp.Or(o.Clock, clock.New())
	if o.Tracer == nil {
		o.Tracer = noop.NewTracerProvider()
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 15) // 0.5 ms to 8 s
	m := &Metrics{
		clock: o.Clock, traces: o.Tracer, tracer: o.Tracer.Tracer(tracerName), recent: newRecent(o.Clock),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_rotations_total",
			Help: "CVV rotations by kind of event, reason and scenario (1 to 3 if the guard kept the schedule, else 0).",
		}, []string{"kind", "reason", "scenario"}),
		idle: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_idle_decisions_total",
			Help: "Events that rotated no CVV: schedule changes, and timers that were early, duplicate or superseded.",
		}, []string{"kind", "reason"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "cvv_rotation_lateness_seconds",
			Help:    "Delay between a slot and its automatic rotation.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400},
		}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_missed_slots_total",
			Help: "Slots that passed without a rotation. They are not caught up: the next rotation serves them all.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_rotation_failures_total",
			Help: "Automatic rotations that failed. The engine retries them.",
		}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_repairs_total",
			Help: "Next rotations more than one interval ahead that the sweep repaired (clock step).",
		}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_verdicts_total",
			Help: "CVV verifications by verdict: current, previous, expired, wrong, locked or throttled.",
		}, []string{"verdict"}),
		unlocks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_unlocks_total",
			Help: "Cards that were unlocked, or whose failed attempts in a row were reset, by a call.",
		}),
		claimCards: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cvv_claim_cards", Help: "Due cards per claim, without empty claims.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8), // to 16384
		}),
		claimTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cvv_claim_duration_seconds", Help: "Duration of a claim, without empty claims.", Buckets: seconds,
		}),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cvv_store_duration_seconds",
			Help:    "Duration of a store call by operation and outcome: ok, refused (by the rules or the engine) or error.",
			Buckets: seconds,
		}, []string{"operation", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_http_requests_total", Help: "HTTP requests by route and status.",
		}, []string{"route", "status"}),
		httpTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cvv_http_duration_seconds", Help: "Duration of an HTTP request by route.", Buckets: seconds,
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cvv_http_in_flight_requests", Help: "HTTP requests in progress.",
		}),
	}
	m.deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cvv_event_deliveries_total", Help: "Attempts to deliver an event by outcome: delivered, failed (the relay retries) or parked (dead-lettered).",
	}, []string{"outcome"})
	m.deliveryLag = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "cvv_event_delivery_lag_seconds", Help: "Delay between an event and its delivery.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400},
	})
	for _, v := range []engine.Verdict{engine.VerdictCurrent, engine.VerdictPrevious, engine.VerdictExpired, engine.VerdictWrong, engine.VerdictLocked, engine.VerdictThrottled} {
		m.verdicts.WithLabelValues(v.String()) // so that rate() sees the first increment
	}
	if o.Registerer != nil {
		for _, c := range []prometheus.Collector{
			m.rotations, m.idle, m.lateness, m.missed, m.failures, m.repairs, m.verdicts, m.unlocks,
			m.claimCards, m.claimTime, m.storeTime, m.requests, m.httpTime, m.inFlight,
			m.deliveries, m.deliveryLag,
		} {
			if err := o.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("telemetry: %w", err)
			}
		}
	}
	return m, nil
}

// Recent returns the rotations of this process in the last hour.
func (m *Metrics) Recent() *Recent { return m.recent }

// Decided implements engine.Observer.
func (m *Metrics) Decided(o engine.Observation) {
	d := o.Decision
	if !d.Rotate() {
		m.idle.WithLabelValues(o.Kind.String(), d.Reason().String()).Inc()
		return
	}
	m.rotations.WithLabelValues(o.Kind.String(), d.Reason().String(), strconv.Itoa(d.Scenario)).Inc()
	automatic := o.Kind == rotation.KindAuto
	if automatic {
		m.lateness.Observe(o.Lateness.Seconds())
		m.missed.Add(float64(d.Missed))
	}
	m.recent.add(automatic, o.Lateness)
}

// Failed implements engine.Observer.
func (m *Metrics) Failed() {
	m.failures.Inc()
}

// Claimed implements engine.Observer.
func (m *Metrics) Claimed(cards int, took time.Duration) {
	m.claimCards.Observe(float64(cards))
	m.claimTime.Observe(took.Seconds())
}

// Verified implements engine.Observer.
func (m *Metrics) Verified(v engine.Verdict) { m.verdicts.WithLabelValues(v.String()).Inc() }

// Unlocked implements engine.Observer.
func (m *Metrics) Unlocked() { m.unlocks.Inc() }

// Repaired implements engine.Observer.
func (m *Metrics) Repaired() { m.repairs.Inc() }

// Delivered counts an attempt to deliver an event. Use it as outbox.Options.Observe.
func (m *Metrics) Delivered(o outbox.Outcome) {
	outcome := "failed"
	switch o.Status {
	case store.StatusDelivered:
		outcome = "delivered"
		m.deliveryLag.Observe(o.Lag.Seconds())
	case store.StatusParked:
		outcome = "parked"
	}
	m.deliveries.WithLabelValues(outcome).Inc()
}
