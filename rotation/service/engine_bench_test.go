package service_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/sim/must"
)

// stores are opened as a daemon opens them: commits are on disk.
var stores = []struct {
	name string
	open func(b *testing.B, clk clock.Clock) store.Store
}{
	{"memory", func(_ *testing.B, clk clock.Clock) store.Store { return memory.New(memory.Options{Clock: clk}) }},
	{"sqlite", func(b *testing.B, clk clock.Clock) store.Store {
		s := must.Get(sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "cards.db"), sqlite.Options{Clock: clk}))(b)
		b.Cleanup(func() { s.Close() })
		return s
	}},
	{"postgres", func(b *testing.B, _ clock.Clock) store.Store {
		url := pgtest.New(b, "fsync=on", "synchronous_commit=on").Database(b)
		must.Do(b, postgres.Migrate(b.Context(), url, postgres.Options{}))
		s := must.Get(postgres.Open(b.Context(), url, postgres.Options{}))(b)
		b.Cleanup(func() { s.Close() })
		return s
	}},
}

func newEngine(b *testing.B, s store.Store, change ...func(*engine.Options)) *engine.Engine {
	b.Helper()
	keys := keyring(b)
	var o engine.Options
	for _, c := range change {
		c(&o)
	}
	return must.Get(engine.New(s, engine.Random(nil, keys), o))(b)
}

// keyring returns a keyring of one test key.
func keyring(b *testing.B) *seal.Keyring {
	b.Helper()
	return must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize))))(b)
}

// enrol registers cards from 16 callers; schedule may be nil.
func enrol(b *testing.B, e *engine.Engine, cards int, schedule func(i int) engine.IntervalRequest) {
	b.Helper()
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for i := int(next.Add(1)); i <= cards; i = int(next.Add(1)) {
				var reg engine.RegisterRequest
				if schedule != nil {
					reg.Schedule = schedule(i)
				}
				if _, _, err := e.Register(b.Context(), engine.Ref{Card: fmt.Sprintf("card-%d", i), Account: "acme"}, reg); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// BenchmarkForce forces single cards from 8 callers, including random CVVs, sealing and
// events.
func BenchmarkForce(b *testing.B) {
	for _, s := range stores {
		b.Run(s.name, func(b *testing.B) {
			e := newEngine(b, s.open(b, clock.New()))
			enrol(b, e, 1000, nil)
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						ref := engine.Ref{Card: fmt.Sprintf("card-%d", i%1000+1), Account: "acme"}
						if _, err := e.Force(b.Context(), ref, engine.ForceRequest{}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
		})
	}
}

// BenchmarkBacklog rotates due cards in claims of 1000, including random CVVs, sealing
// and events. The one of PostgreSQL is in its own package, beside its baseline.
func BenchmarkBacklog(b *testing.B) {
	const cards = 50_000
	for _, s := range stores[:2] {
		b.Run(s.name, func(b *testing.B) {
			mock := clock.NewMock()
			mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
			st := s.open(b, mock)
			e := newEngine(b, st)
			enrol(b, e, cards, func(int) engine.IntervalRequest {
				return engine.IntervalRequest{Interval: 24 * time.Hour, Spread: true}
			})
			b.ReportAllocs()
			b.ResetTimer()
			done := 0
			for b.Loop() {
				b.StopTimer()
				mock.Set(mock.Now().Add(48 * time.Hour))
				b.StartTimer()
				for n := -1; n != 0; done += n {
					n = must.Get(e.Tick(b.Context()))(b)
				}
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "rotations/s")
		})
	}
}

// lateness records how late automatic rotations are.
type lateness struct {
	engine.NoObserver
	mu  sync.Mutex
	all []time.Duration
	n   chan struct{}
}

func (l *lateness) Decided(o engine.Observation) {
	if o.Kind != rotation.KindAuto || !o.Decision.Rotate() {
		return
	}
	l.mu.Lock()
	l.all = append(l.all, o.Lateness)
	l.mu.Unlock()
	l.n <- struct{}{}
}

// BenchmarkLateness makes 1,000 cards due a second, for ten seconds of real time, and
// reports how late they rotate. Run it with -benchtime 1x -v for the histogram.
func BenchmarkLateness(b *testing.B) {
	const perSecond, seconds = 1000, 10
	for _, s := range stores {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				seen := &lateness{n: make(chan struct{}, perSecond*seconds)}
				st := s.open(b, clock.New())
				e := newEngine(b, st, func(o *engine.Options) { o.Observer = seen })
				now := must.Get(st.Now(b.Context()))(b)
				begin := now.Add(15 * time.Second) // after all are enrolled
				enrol(b, e, perSecond*seconds, func(i int) engine.IntervalRequest {
					return engine.IntervalRequest{Interval: 24 * time.Hour, First: begin.Add(time.Duration(i) * time.Second / perSecond)}
				})
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan struct{})
				go func() { e.Run(ctx); close(done) }()
				for range perSecond * seconds {
					<-seen.n
				}
				cancel()
				<-done
				slices.Sort(seen.all)
				at := func(p float64) float64 {
					return float64(seen.all[int(p*float64(len(seen.all)-1))]) / float64(time.Millisecond)
				}
				b.ReportMetric(at(0.5), "p50-ms")
				b.ReportMetric(at(0.99), "p99-ms")
				b.ReportMetric(at(1), "max-ms")
				b.Log("\n" + histogram(seen.all))
			}
		})
	}
}

// histogram draws sorted durations in powers of two.
func histogram(sorted []time.Duration) string {
	var text strings.Builder
	low := time.Duration(0)
	for high := time.Millisecond; len(sorted) > 0; high *= 2 {
		n, _ := slices.BinarySearch(sorted, high)
		if n > 0 {
			fmt.Fprintf(&text, "%8v to %-8v %6d %s\n", low, high, n, strings.Repeat("#", (n+99)/100))
		}
		sorted, low = sorted[n:], high
	}
	return text.String()
}
