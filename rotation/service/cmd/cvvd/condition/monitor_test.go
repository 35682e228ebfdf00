package condition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
	"cvvrotation/sim/must"
)

var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func TestWatchWrites_RecordsWhatTheDatabaseDid(t *testing.T) {
	refusal := errors.New("refused")
	full := fmt.Errorf("%w: disk full", store.ErrReadOnly)
	write := func(c *store.Change) error { c.Write = true; return nil }
	for name, test := range map[string]struct {
		fault error
		fn    func(*store.Change) error
		err   error // remembered
		known bool  // a success is remembered
	}{
		"written":        {nil, write, nil, true},
		"read":           {nil, func(*store.Change) error { return nil }, nil, false},
		"refused":        {nil, func(*store.Change) error { return refusal }, nil, false},
		"full":           {full, write, full, false},
		"timed out":      {context.DeadlineExceeded, write, nil, false},
		"unavailable":    {store.ErrUnavailable, write, nil, false},
		"caller left":    {context.Canceled, write, nil, false},
		"closed":         {store.ErrClosed, write, nil, false},
		"violation":      {errors.New("check constraint"), write, nil, false},
		"schema changed": {store.ErrSchema, write, store.ErrSchema, false},
	} {
		t.Run(name, func(t *testing.T) {
			var o Outcomes
			inner := memory.New(memory.Options{})
			inner.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: test.fault} })
			s := WatchWrites(inner, &o, nil)
			s.Update(t.Context(), "a", "", test.fn)
			if got := o.State(); !errors.Is(got.Err, test.err) || got.Err == nil != (test.err == nil) || got.Succeeded.IsZero() == test.known {
				t.Errorf("remembered %+v", got)
			}
		})
	}
}

func TestOutcomes_RememberFailureUntilSuccess(t *testing.T) {
	var o Outcomes
	o.Record(start, nil)
	for range 3 {
		o.Record(start, errors.New("full"))
	}
	if s := o.State(); s.Err == nil || s.Failures != 3 || !s.Succeeded.Equal(start) {
		t.Errorf("%+v", s)
	}
	o.Record(start.Add(time.Second), nil)
	if s := o.State(); s != (State{Succeeded: start.Add(time.Second)}) {
		t.Errorf("%+v", s)
	}
}

// failingWriter fails while err is set.
type failingWriter struct {
	bytes.Buffer
	err error
}

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return w.Buffer.Write(b)
}

func TestAuditLog_SaysHowManyRecordsAreMissing(t *testing.T) {
	for _, by := range []string{"the next record", "Resume"} {
		t.Run(by, func(t *testing.T) {
			w := &failingWriter{}
			a := WatchAudit(slog.NewJSONHandler(w, nil), clock.NewMock())
			log := slog.New(a).With("issuer", "x")
			log.Info("first")
			w.err = errors.New("full")
			log.Info("lost")
			log.Info("lost")
			if err := a.Resume(t.Context()); err == nil || a.State().Failures != 2 {
				t.Errorf("%v, %+v", err, a.State())
			}
			w.err = nil
			if by == "Resume" {
				must.Do(t, a.Resume(t.Context()))
			}
			log.Info("last")
			must.Do(t, a.Resume(t.Context())) // nothing is missing
			lines := strings.Split(strings.TrimSpace(w.String()), "\n")
			if len(lines) != 3 || !strings.Contains(lines[1], `"operation":"resume_log","outcome":"done","missing":2}`) || !strings.Contains(lines[2], `"msg":"last","issuer":"x"`) {
				t.Errorf("%s", w)
			}
			if a.State().Err != nil {
				t.Error(a.State())
			}
		})
	}
}

func TestHistory_CountsWithinTheWindow(t *testing.T) {
	var h history
	for i := range 2 * 3600 { // a repair each minute, for two hours
		h.add(start.Add(time.Duration(i)*time.Second), telemetry.Totals{Repairs: float64(i / 60)})
	}
	end := start.Add(2 * time.Hour)
	for window, want := range map[time.Duration]float64{5 * time.Minute: 5, 15 * time.Minute: 15, time.Hour: 60} {
		if got := h.increase(end, window).Repairs; got < want-1 || got > want+1 {
			t.Errorf("%v: %v, want %v", window, got, want)
		}
	}
	if n := len(h.samples); n > 362 {
		t.Errorf("%d samples", n)
	}
}

// The store is checked for writes only if it was not written to for a while, or fails.
func TestMonitor_ChecksWritesOfAnIdleStore(t *testing.T) {
	clk := clock.NewMock()
	clk.Set(start)
	s := memory.New(memory.Options{Clock: clk})
	checks := 0
	var fault error
	s.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call != memory.CallCheckWrites {
			return memory.Fault{}
		}
		checks++
		return memory.Fault{Before: fault}
	})
	var writes Outcomes
	m := must.Get(New(Sources{Store: s, Writes: &writes, Audit: WatchAudit(slog.DiscardHandler, clk), Totals: func() telemetry.Totals { return telemetry.Totals{} }, Stopping: func() bool { return false }, Clock: clk}))(t)
	seconds := func(n int, written bool) int {
		checks = 0
		for range n {
			clk.Add(time.Second)
			if written {
				writes.Record(clk.Now(), nil)
			}
			m.Check(t.Context())
		}
		return checks
	}
	seconds(1, false)
	if n := seconds(60, true); n != 0 {
		t.Errorf("%d checks of a busy store", n)
	}
	if n := seconds(60, false); n != 6 {
		t.Errorf("%d checks of an idle store in a minute, want 6", n)
	}
	fault = store.ErrReadOnly
	writes.Record(clk.Now(), nil)
	writes.Record(clk.Now(), fault)
	if n := seconds(3, false); n != 3 {
		t.Errorf("%d checks within 3 s of a failure, right after a success", n)
	}
	if n := seconds(10, false); n != 10 || len(m.Current()) != 1 {
		t.Errorf("%d checks of a failing store in 10 s, and %d conditions", n, len(m.Current()))
	}
	began := m.Current()[0].Since
	seconds(5, false)
	if now := m.Current()[0].Since; !now.Equal(began) {
		t.Errorf("since %v, then since %v", began, now)
	}
	fault = nil
	if seconds(1, false); len(m.Current()) != 0 {
		t.Errorf("%+v after a success", m.Current())
	}
}

func TestNew_RequiresSources(t *testing.T) {
	if _, err := New(Sources{}); err == nil {
		t.Error("no error")
	}
}

// The replica without the outbox lease shows what its holder reports, until the holder
// reports no more.
func TestMonitor_SharesTheStateOfTheSink(t *testing.T) {
	clk := clock.NewMock()
	clk.Set(start)
	s := memory.New(memory.Options{Clock: clk})
	reports := 0
	s.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallReportRelay {
			reports++
		}
		return memory.Fault{}
	})
	monitor := func(replica string, relay func() outbox.State) *Monitor {
		return must.Get(New(Sources{
			Store: s, Writes: new(Outcomes), Audit: WatchAudit(slog.DiscardHandler, clk), Totals: func() telemetry.Totals { return telemetry.Totals{} },
			Stopping: func() bool { return false }, Clock: clk, Relay: relay, Replica: replica,
		}))(t)
	}
	holder := outbox.State{HasLease: true}
	a, b := monitor("a", func() outbox.State { return holder }), monitor("b", func() outbox.State { return outbox.State{} })
	pass := func(seconds int, both bool) (conditions string) {
		for range seconds {
			clk.Add(time.Second)
			if both {
				a.Check(t.Context())
			}
			b.Check(t.Context())
		}
		for _, h := range b.Current() {
			conditions += h.Name + ": " + h.Detail + "\n"
		}
		return conditions
	}
	if got := pass(6, true); got != "" || b.LeaseHolder() != "a" || a.LeaseHolder() != "a" {
		t.Errorf("%q, held by %q and %q", got, a.LeaseHolder(), b.LeaseHolder())
	}
	reports = 0
	if pass(60, true); reports < 1 || reports > 3 {
		t.Errorf("%d reports in a minute without a change", reports)
	}
	holder.Down, holder.Failure = time.Now(), "status 502"
	if got := pass(6, true); got != "sink_down: status 502 (reported by a)\n" {
		t.Errorf("while the sink is down: %q", got)
	}
	reports = 0
	if pass(60, true); reports > 3 {
		t.Errorf("%d reports in a minute while the sink is down", reports)
	}
	if got := pass(100, false); got != "" || b.LeaseHolder() != "" {
		t.Errorf("without a report: %q, held by %q", got, b.LeaseHolder())
	}
	holder.Down = time.Time{}
	if got := pass(6, true); got != "" || b.LeaseHolder() != "a" {
		t.Errorf("after it is up: %q, held by %q", got, b.LeaseHolder())
	}
}
