package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// world is an engine on a memory store, with metrics.
type world struct {
	clock    *clock.Mock
	memory   *memory.Store
	store    store.Store
	engine   *engine.Engine
	metrics  *Metrics
	registry *prometheus.Registry
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{clock: clock.NewMock(), registry: prometheus.NewPedanticRegistry()}
	w.clock.Set(start)
	o.Registerer, o.Clock = w.registry, w.clock
	w.metrics = must.Get(New(o))(t)
	w.memory = memory.New(memory.Options{Clock: w.clock})
	w.store = must.Get(w.metrics.Store(w.memory))(t)
	mustRegister(t, w.registry)(Sizes(w.store, time.Second))
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize))))(t)
	w.engine = must.Get(engine.New(w.store, engine.Random(nil, keys), engine.Options{Observer: w.metrics, MaxDailyTries: 1}))(t)
	return w
}

const secretCard, secretAccount = "card-that-no-label-names", "account-that-no-label-names"

var ref = engine.Ref{Card: secretCard, Account: secretAccount}

// use performs each operation of the engine.
func (w *world) use(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	_, _, err := w.engine.Register(ctx, ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: time.Hour}})
	must.Do(t, err)
	w.clock.Set(start.Add(2*time.Hour + 3*time.Second)) // the first slot is served late, the second one counts as missed
	if n, err := w.engine.Tick(ctx); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_, err = w.engine.Force(ctx, ref, engine.ForceRequest{}) // S1
	must.Do(t, err)
	_, err = w.engine.Force(ctx, ref, engine.ForceRequest{}) // S3
	must.Do(t, err)
	_, err = w.engine.Deliver(ctx, ref, start.Add(time.Hour)) // a duplicate that is held: R12
	must.Do(t, err)
	_, err = w.engine.SetInterval(ctx, ref, engine.IntervalRequest{Interval: time.Hour}) // R9
	must.Do(t, err)
	revealed, err := w.engine.Reveal(ctx, ref)
	must.Do(t, err)
	if v, err := w.engine.Verify(ctx, ref, revealed.CVV); v.Verdict != engine.VerdictCurrent || err != nil {
		t.Fatal(v, err)
	}
	for _, want := range []engine.Verdict{engine.VerdictWrong, engine.VerdictThrottled} {
		if v, err := w.engine.Verify(ctx, ref, wrongCVV(t)); v.Verdict != want || err != nil {
			t.Fatal(v, err)
		}
		_, err := w.engine.Unlock(ctx, ref) // the second time there is nothing to unlock
		must.Do(t, err)
	}
	if _, err := w.engine.Force(ctx, engine.AnyAccount("unknown"), engine.ForceRequest{}); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := w.engine.Force(ctx, engine.Ref{Card: secretCard, Account: "other"}, engine.ForceRequest{}); !errors.Is(err, engine.ErrForbidden) {
		t.Fatal(err)
	}
}

// wrongCVV returns a CVV that none of 3 digits equals.
func wrongCVV(t *testing.T) (cvv cvvgen.CVV) {
	t.Helper()
	must.Do(t, cvv.UnmarshalText([]byte("1234")))
	return cvv
}

func TestMetrics_CountEngineOperations(t *testing.T) {
	w := newWorld(t, Options{})
	w.use(t)
	want := `
# HELP cvv_idle_decisions_total Events that rotated no CVV: schedule changes, and timers that were early, duplicate or superseded.
# TYPE cvv_idle_decisions_total counter
cvv_idle_decisions_total{kind="auto",reason="duplicate"} 1
cvv_idle_decisions_total{kind="set_interval",reason="interval_set"} 1
cvv_idle_decisions_total{kind="set_interval",reason="unchanged"} 1
# HELP cvv_missed_slots_total Slots that passed without a rotation. They are not caught up: the next rotation serves them all.
# TYPE cvv_missed_slots_total counter
cvv_missed_slots_total 1
# HELP cvv_rotations_total CVV rotations by kind of event, reason and scenario (1 to 3 if the guard kept the schedule, else 0).
# TYPE cvv_rotations_total counter
cvv_rotations_total{kind="auto",reason="scheduled",scenario="0"} 1
cvv_rotations_total{kind="forced",reason="guard",scenario="1"} 1
cvv_rotations_total{kind="forced",reason="guard",scenario="3"} 1
# HELP cvv_verdicts_total CVV verifications by verdict: current, previous, expired, wrong, locked or throttled.
# TYPE cvv_verdicts_total counter
cvv_verdicts_total{verdict="current"} 1
cvv_verdicts_total{verdict="expired"} 0
cvv_verdicts_total{verdict="locked"} 0
cvv_verdicts_total{verdict="previous"} 0
cvv_verdicts_total{verdict="throttled"} 1
cvv_verdicts_total{verdict="wrong"} 1
# HELP cvv_unlocks_total Cards that were unlocked, or whose failed attempts in a row were reset, by a call.
# TYPE cvv_unlocks_total counter
cvv_unlocks_total 1
# HELP cvv_cards Registered cards. May be an estimate.
# TYPE cvv_cards gauge
cvv_cards 1
# HELP cvv_outbox_pending_events Events that wait for delivery.
# TYPE cvv_outbox_pending_events gauge
cvv_outbox_pending_events 4
# HELP cvv_store_up 1 if the store answers, else 0.
# TYPE cvv_store_up gauge
cvv_store_up 1
# HELP cvv_outbox_oldest_seconds Age of the oldest event that waits for delivery; 0 if none waits.
# TYPE cvv_outbox_oldest_seconds gauge
cvv_outbox_oldest_seconds 7203
`
	names := []string{"cvv_idle_decisions_total", "cvv_missed_slots_total", "cvv_rotations_total", "cvv_verdicts_total", "cvv_unlocks_total",
		"cvv_cards", "cvv_outbox_pending_events", "cvv_store_up", "cvv_outbox_oldest_seconds"}
	must.Do(t, testutil.GatherAndCompare(w.registry, strings.NewReader(want), names...))
	text := exposition(t, w.registry)
	for _, line := range []string{ // the slot served is the first one, an hour and 3 s ago
		`cvv_rotation_lateness_seconds_sum 3603`,
		`cvv_rotation_lateness_seconds_count 1`,
		`cvv_claim_cards_sum 1`,
		`cvv_claim_duration_seconds_count 1`,
		`cvv_store_duration_seconds_count{operation="claim",outcome="ok"} 1`,
		`cvv_store_duration_seconds_count{operation="update",outcome="ok"} 10`,
		`cvv_store_duration_seconds_count{operation="update",outcome="refused"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	for _, secret := range []string{secretCard, secretAccount} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold %s", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestMetrics_PassPrometheusLint also checks the metrics of failures, repairs and
// deliveries.
func TestMetrics_PassPrometheusLint(t *testing.T) {
	w := newWorld(t, Options{})
	w.use(t)
	w.metrics.Failed()
	w.metrics.Repaired()
	for _, status := range []store.Status{store.StatusDelivered, store.StatusWaiting, store.StatusWaiting, store.StatusParked} {
		w.metrics.Delivered(outbox.Outcome{Status: status, Lag: time.Second})
	}
	text := exposition(t, w.registry)
	for _, line := range []string{
		`cvv_rotation_failures_total 1`, `cvv_repairs_total 1`, `cvv_event_delivery_lag_seconds_sum 1`,
		`cvv_event_deliveries_total{outcome="delivered"} 1`, `cvv_event_deliveries_total{outcome="failed"} 2`, `cvv_event_deliveries_total{outcome="parked"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	problems := must.Get(testutil.GatherAndLint(w.registry))(t)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestSizes_ReportUnreachableStoreWithinTimeout(t *testing.T) {
	w := newWorld(t, Options{})
	w.memory.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Stall: make(chan struct{})} })
	registry := prometheus.NewPedanticRegistry()
	mustRegister(t, registry)(Sizes(w.store, time.Millisecond))
	text := exposition(t, registry)
	if !strings.Contains(text, "cvv_store_up 0\n") || strings.Contains(text, "cvv_cards") {
		t.Error(text)
	}
	if text := exposition(t, w.metricsOnly(t)); !strings.Contains(text, `operation="stats",outcome="error"} 1`) {
		t.Error(text)
	}
}

// metricsOnly gathers without querying the store.
func (w *world) metricsOnly(t *testing.T) prometheus.Gatherer {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(w.metrics.storeTime)
	return registry
}

// TestStore_MeasuresEveryCall also checks that the wrapper returns the store's results.
func TestStore_MeasuresEveryCall(t *testing.T) {
	w := newWorld(t, Options{})
	w.use(t)
	ctx, s := context.Background(), w.store
	s.Now(ctx)
	s.NextDue(ctx)
	s.IDsTooFarAhead(ctx, "", 1)
	if cards, err := s.ListCards(ctx, "", 10); len(cards) != 1 || err != nil {
		t.Error(cards, err)
	}
	s.ListFailingCards(ctx, 1)
	if counts, err := s.CountDue(ctx, start.Add(2*time.Hour), time.Hour, 2); !slices.Equal(counts, []int64{0, 1}) || err != nil {
		t.Error(counts, err)
	}
	s.Stats(ctx)
	s.DeleteExpired(ctx, start, 1)
	lease := must.Get(s.AcquireLease(ctx))(t)
	if _, err := s.AcquireLease(ctx); !errors.Is(err, store.ErrLeaseHeld) {
		t.Error(err)
	}
	pending, err := s.ListWaiting(ctx, 10, nil)
	if len(pending) != 4 || err != nil {
		t.Error(len(pending), err)
	}
	must.Do(t, s.RecordDeliveries(ctx, []store.Delivery{{Position: pending[0].Position, Status: store.StatusDelivered}}))
	if log, err := s.ListEvents(ctx, 0, 10); len(log) != 4 || log[0].Status != store.StatusDelivered || err != nil {
		t.Error(log, err)
	}
	if n, err := s.Requeue(ctx, 1, 4); n != 1 || err != nil {
		t.Error(n, err)
	}
	must.Do(t, s.CheckWrites(ctx))
	must.Do(t, s.ReportRelay(ctx, store.RelayReport{Holder: "a"}))
	if r, err := s.RelayReport(ctx); r.Holder != "a" || err != nil {
		t.Error(r, err)
	}
	if n, err := s.DeleteUndelivered(ctx, start.Add(24*time.Hour), 10); n != 4 || err != nil {
		t.Error(n, err)
	}
	lease.Release()
	text := exposition(t, w.registry)
	for _, operation := range []string{"now", "card", "update", "claim", "next_due", "ids_too_far_ahead",
		"list_cards", "delete_expired", "acquire_lease", "list_waiting", "record_deliveries", "delete_undelivered", "stats",
		"list_failing_cards", "count_due", "list_events", "requeue", "check_writes", "report_relay", "relay_report"} {
		if !strings.Contains(text, `operation="`+operation+`",outcome="ok"`) {
			t.Errorf("%s is not counted", operation)
		}
	}
	if !strings.Contains(text, `operation="acquire_lease",outcome="refused"} 1`) {
		t.Error("a relay that waits for another counts as an error")
	}
	must.Do(t, s.Close())
	if _, err := s.Now(ctx); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// exposition returns the response to a scrape.
func exposition(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	if scrape.Code != 200 {
		t.Fatal(scrape.Body)
	}
	return scrape.Body.String()
}

func TestKeySetAge_CountsFromLastRefresh(t *testing.T) {
	w := newWorld(t, Options{})
	var loaded time.Time
	mustRegister(t, w.registry)(w.metrics.KeySetAge(func() time.Time { return loaded }))
	if text := exposition(t, w.registry); !strings.Contains(text, "cvv_token_keys_age_seconds -1\n") {
		t.Error("before the first refresh:\n" + text)
	}
	loaded = start.Add(-90 * time.Second)
	if text := exposition(t, w.registry); !strings.Contains(text, "cvv_token_keys_age_seconds 90\n") {
		t.Error("90 s after a refresh:\n" + text)
	}
}

func TestKeySetEntries_CountsByStatus(t *testing.T) {
	w := newWorld(t, Options{})
	counts := map[string]int{}
	mustRegister(t, w.registry)(KeySetEntries(func() map[string]int { return counts }))
	if text := exposition(t, w.registry); strings.Contains(text, "cvv_token_keys{") {
		t.Error("before the first key set:\n" + text)
	}
	counts = map[string]int{"used": 2, "malformed": 1}
	text := exposition(t, w.registry)
	if !strings.Contains(text, `cvv_token_keys{status="used"} 2`) || !strings.Contains(text, `cvv_token_keys{status="malformed"} 1`) {
		t.Error(text)
	}
}

// mustRegister returns a function that registers the collector of a constructor.
func mustRegister(t *testing.T, registry *prometheus.Registry) func(prometheus.Collector, error) {
	return func(c prometheus.Collector, err error) {
		t.Helper()
		must.Do(t, err)
		registry.MustRegister(c)
	}
}

func TestMetrics_RefuseMissingArguments(t *testing.T) {
	m := must.Get(New(Options{}))(t)
	for name, build := range map[string]func() error{
		"Store":            func() error { _, err := m.Store(nil); return err },
		"Store of a type":  func() error { _, err := m.Store((*memory.Store)(nil)); return err },
		"Handler":          func() error { _, err := m.Handler(nil); return err },
		"Handler function": func() error { _, err := m.Handler(http.HandlerFunc(nil)); return err },
		"Sizes":            func() error { _, err := Sizes(nil, time.Second); return err },
		"Sizes timeout":    func() error { _, err := Sizes(memory.New(memory.Options{}), 0); return err },
		"KeySetAge":        func() error { _, err := m.KeySetAge(nil); return err },
		"Authenticator":    func() error { _, err := Authenticator(nil); return err },
		"KeySetEntries":    func() error { _, err := KeySetEntries(nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if build() == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestNew_ReturnsErrorIfMetricsAreRegistered(t *testing.T) {
	w := newWorld(t, Options{})
	if _, err := New(Options{Registerer: w.registry}); err == nil {
		t.Error("registered twice")
	}
}
