// Package condition is the one list of what can be wrong with the daemon. The status
// page, /readyz, the metric cvv_condition, the alerts and the runbook are made from the
// list, or a test compares them with it.
package condition

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
)

// The monitor checks the store every interval, with a timeout for each call. It reads
// figures every figuresEvery, because they cost the store more than a reply.
//
// Failed writes are remembered until one succeeds. While they fail, and after idleWrites
// without a write, the monitor writes a test row. A replica that is not ready gets no
// calls, so it may have nothing else to write; and an idle one would not notice that the
// database has become read-only.
const (
	interval     = time.Second
	replyTimeout = 2 * time.Second
	writeTimeout = 5 * time.Second
	figuresEvery = 5 * time.Second
	idleWrites   = 10 * time.Second
	reportEvery  = 30 * time.Second // reports of the relay
	reportStale  = 90 * time.Second
)

// Store is what the monitor needs of a store.
type Store interface {
	Now(ctx context.Context) (time.Time, error)
	Stats(ctx context.Context) (store.Stats, error)
	CheckWrites(ctx context.Context) error
	ReportRelay(ctx context.Context, r store.RelayReport) error
	RelayReport(ctx context.Context) (store.RelayReport, error)
}

// Sources are the components that the monitor observes.
type Sources struct {
	Store      Store
	Writes     *Outcomes // of the store's writes, see WatchWrites
	Audit      *AuditLog
	Totals     func() telemetry.Totals // what this process has counted
	KeysLoaded func() time.Time        // last refresh of the token signing keys, zero: none; nil: there are no keys to load
	Relay      func() outbox.State     // nil: no relay
	Replica    string                  // names this process to the others
	Stopping   func() bool             // the daemon is shutting down
	Recovered  func()                  // called when the store accepts writes again; may be nil

	Clock  clock.Clock  // Defaults to the system clock.
	Logger *slog.Logger // Reports when a condition begins and ends. Defaults to none.
}

// Holding is a condition that holds.
type Holding struct {
	*Condition
	Since  time.Time // when this process noticed it
	Detail string    // the error or the figures; "" if the sentence says all. No secret.
}

// Monitor knows which conditions hold. Make one with [New].
type Monitor struct {
	s Sources

	checking  sync.Mutex // held during a check of the store
	mu        sync.Mutex // guards the fields below
	checked   facts      // what the latest check has found
	failing   bool       // the store did not respond, or refused a write
	figuresAt time.Time  // when figures were asked for
	totals    history
	since     map[string]time.Time // conditions that hold
}

// New returns a monitor. It returns an error if the store, Writes, Audit, Totals or
// Stopping is missing.
func New(s Sources) (*Monitor, error) {
	if s.Store == nil || s.Writes == nil || s.Audit == nil || s.Totals == nil || s.Stopping == nil {
		return nil, errors.New("condition: Store, Writes, Audit, Totals and Stopping are required")
	}
	s.Clock = cmp.Or(s.Clock, clock.New())
	s.Logger = cmp.Or(s.Logger, slog.New(slog.DiscardHandler))
	return &Monitor{s: s, since: map[string]time.Time{}}, nil
}

// Run checks the store every second until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	ticker := m.s.Clock.Ticker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.Check(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// Check checks the store and the audit log now. Run does so every second.
func (m *Monitor) Check(ctx context.Context) {
	m.checking.Lock()
	defer m.checking.Unlock()
	m.mu.Lock()
	f, figuresAt := m.checked, m.figuresAt
	m.mu.Unlock()
	now := m.s.Clock.Now()
	if f.nowErr = m.reply(ctx, &f); f.nowErr == nil {
		m.checkWrites(ctx, now)
		if figuresAt.IsZero() || now.Sub(figuresAt) >= figuresEvery {
			f.stats, f.statsErr = m.figures(ctx)
			m.readReport(ctx, &f)
			figuresAt = now
		}
		m.reportRelay(ctx, &f)
	}
	_ = m.s.Audit.Resume(ctx) // an error is remembered
	if ctx.Err() != nil {
		return // what failed was cancelled
	}
	failing := f.nowErr != nil || m.s.Writes.State().Err != nil
	m.mu.Lock()
	recovered := m.failing && !failing
	m.checked, m.figuresAt, m.failing = f, figuresAt, failing
	m.totals.add(now, m.s.Totals())
	m.mu.Unlock()
	m.Current()
	if recovered && m.s.Recovered != nil {
		m.s.Recovered()
	}
}

func (m *Monitor) reply(ctx context.Context, f *facts) (err error) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	f.storeNow, err = m.s.Store.Now(ctx)
	return err
}

func (m *Monitor) figures(ctx context.Context) (store.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	return m.s.Store.Stats(ctx)
}

// readReport reads what the holder of the outbox lease reports.
func (m *Monitor) readReport(ctx context.Context, f *facts) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if r, err := m.s.Store.RelayReport(ctx); err == nil {
		f.report = r
	}
}

// reportRelay reports the state of this process's relay to the others, if it holds the
// outbox lease: when that state changes, and every reportEvery.
func (m *Monitor) reportRelay(ctx context.Context, f *facts) {
	if m.s.Relay == nil {
		return
	}
	s := m.s.Relay()
	want := store.RelayReport{At: f.report.At, Holder: m.s.Replica, Down: s.Down.UTC().Round(0), Failure: s.Failure}
	if !s.HasLease || want == f.report && f.storeNow.Sub(f.report.At) < reportEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if m.s.Store.ReportRelay(ctx, want) == nil {
		want.At = f.storeNow
		f.report = want
	}
}

// LeaseHolder names the process that holds the outbox lease, as it has reported; "" if
// none has for a while.
func (m *Monitor) LeaseHolder() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.checked.reported() {
		return ""
	}
	return m.checked.report.Holder
}

// checkWrites writes a test row if writes fail, or if there was none for a while.
func (m *Monitor) checkWrites(ctx context.Context, now time.Time) {
	if w := m.s.Writes.State(); w.Err == nil && now.Sub(w.Succeeded) < idleWrites {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := m.s.Store.CheckWrites(ctx)
	if !errors.Is(err, context.Canceled) {
		m.s.Writes.Record(m.s.Clock.Now(), err)
	}
}

// Current returns the conditions that hold, in the order of List. Those of the store are
// as of the latest check; if there was none, Current checks. All others are as of now.
func (m *Monitor) Current() []Holding {
	m.mu.Lock()
	unchecked := m.figuresAt.IsZero() && m.checked.nowErr == nil
	m.mu.Unlock()
	if unchecked {
		m.Check(context.Background())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.checked
	f.now, f.totals, f.stopping = m.s.Clock.Now(), &m.totals, m.s.Stopping()
	f.writes, f.audit = m.s.Writes.State(), m.s.Audit.State()
	if m.s.Relay != nil {
		f.relay = m.s.Relay()
	}
	if f.keys = m.s.KeysLoaded != nil; f.keys {
		f.keysLoaded = m.s.KeysLoaded()
	}
	var holding []Holding
	for _, c := range List {
		holds, detail := c.holds(&f)
		since, held := m.since[c.Name]
		switch {
		case holds && !held:
			since = f.now
			m.since[c.Name] = since
			m.s.Logger.Log(context.Background(), c.Severity.level(), "condition began", "condition", c.Name, "detail", detail)
		case !holds && held:
			delete(m.since, c.Name)
			m.s.Logger.Info("condition ended", "condition", c.Name, "after", f.now.Sub(since))
		}
		if holds {
			holding = append(holding, Holding{c, since, detail})
		}
	}
	return holding
}

var metric = prometheus.NewDesc("cvv_condition", "1 while a condition of the runbook holds on this replica, else 0.", []string{"name"}, nil)

// Describe implements prometheus.Collector.
func (m *Monitor) Describe(ch chan<- *prometheus.Desc) { ch <- metric }

// Collect implements prometheus.Collector.
func (m *Monitor) Collect(ch chan<- prometheus.Metric) {
	holds := map[string]float64{}
	for _, h := range m.Current() {
		holds[h.Name] = 1
	}
	for _, c := range List {
		ch <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, holds[c.Name], c.Name)
	}
}
