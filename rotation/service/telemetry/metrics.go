package telemetry

import (
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

// Options is what Metrics are made of. The zero value counts for the last hour
// alone.
type Options struct {
	Registerer prometheus.Registerer // where the metrics go; nil: nowhere
	Tracer     trace.TracerProvider  // where spans go; nil: nowhere
	Clock      clock.Clock           // to time calls by, and for the last hour; nil: the real one
}

// Metrics counts and times. It is the engine's Observer. Make one with New.
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

// New returns metrics, registered. It panics when they are registered already,
// as prometheus.MustRegister does.
func New(o Options) *Metrics {
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Tracer == nil {
		o.Tracer = noop.NewTracerProvider()
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 15) // 0.5 ms to 8 s
	m := &Metrics{
		clock: o.Clock, traces: o.Tracer, tracer: o.Tracer.Tracer(tracerName), recent: newRecent(o.Clock),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_rotations_total",
			Help: "CVVs rotated, by kind of event, reason and scenario (1 to 3 where the guard held the schedule, else 0).",
		}, []string{"kind", "reason", "scenario"}),
		idle: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_idle_decisions_total",
			Help: "Events decided that rotated nothing: new schedules, and timers that came early, twice or too late.",
		}, []string{"kind", "reason"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "cvv_rotation_lateness_seconds",
			Help:    "How long after its slot an automatic rotation took place.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400},
		}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_missed_slots_total",
			Help: "Slots that passed while nothing ran and are not made up.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_rotation_failures_total",
			Help: "Automatic rotations that failed and are tried again.",
		}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cvv_repairs_total",
			Help: "Slots too far ahead that the sweep has moved: a clock was once wrong.",
		}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_verdicts_total",
			Help: "CVVs verified, by verdict: current, previous, expired, wrong, locked.",
		}, []string{"verdict"}),
		claimCards: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cvv_claim_cards", Help: "Due cards in one claim that found any.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8), // to 16384
		}),
		claimTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cvv_claim_duration_seconds", Help: "Time of one claim that found due cards.", Buckets: seconds,
		}),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cvv_store_duration_seconds",
			Help:    "Time of one call of the store, by operation and outcome (ok, refused by the rules or the engine, or error).",
			Buckets: seconds,
		}, []string{"operation", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cvv_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		httpTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cvv_http_duration_seconds", Help: "Time to answer a request, by route.", Buckets: seconds,
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cvv_http_in_flight_requests", Help: "Requests being answered now.",
		}),
	}
	m.deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cvv_event_deliveries_total", Help: "Attempts to deliver an event: delivered, failed (to be tried again) or parked.",
	}, []string{"outcome"})
	m.deliveryLag = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "cvv_event_delivery_lag_seconds", Help: "From an event to its delivery.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400},
	})
	for _, v := range []engine.Verdict{engine.Current, engine.Previous, engine.Expired, engine.Wrong, engine.Locked} {
		m.verdicts.WithLabelValues(v.String()) // a rate needs the zero before the first
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(m.rotations, m.idle, m.lateness, m.missed, m.failures, m.repairs, m.verdicts,
			m.claimCards, m.claimTime, m.storeTime, m.requests, m.httpTime, m.inFlight,
			m.deliveries, m.deliveryLag)
	}
	return m
}

// Recent returns what has happened in this process within the last hour.
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

// Repaired implements engine.Observer.
func (m *Metrics) Repaired() { m.repairs.Inc() }

// Delivered counts one attempt to deliver an event: it is for outbox.Options.Observe.
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
