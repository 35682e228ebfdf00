package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/cmd/cvvd/status"
	"cvvrotation/rotation/service/telemetry"
	"cvvrotation/sim/must"
)

// surroundings are a daemon's components around a monitor. Tests break them at their
// edges: the store's calls, the file of the audit log, the relay's state, requests.
type surroundings struct {
	t        *testing.T
	clock    *clock.Mock
	store    *memory.Store
	metrics  *telemetry.Metrics
	engine   *engine.Engine
	endpoint http.Handler
	token    string
	audit    func([]byte) (int, error) // nil: works
	relay    outbox.State
	keys     time.Time
	stopping bool
	monitor  *condition.Monitor
	ops      http.Handler
	hold     bool // events stay undelivered
}

func (s *surroundings) Write(b []byte) (int, error) {
	if s.audit != nil {
		return s.audit(b)
	}
	return len(b), nil
}

func newSurroundings(t *testing.T) *surroundings {
	t.Helper()
	s := &surroundings{t: t, clock: clock.NewMock(), relay: outbox.State{HasLease: true}}
	s.clock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	s.keys = s.clock.Now()
	s.store = memory.New(memory.Options{Clock: s.clock})
	registry := prometheus.NewRegistry()
	s.metrics = must.Get(telemetry.New(telemetry.Options{Clock: s.clock, Registerer: registry}))(t)
	var writes condition.Outcomes
	watched := condition.WatchWrites(s.store, &writes, s.clock)
	auditLog := condition.WatchAudit(slog.NewJSONHandler(s, nil), s.clock)
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	s.engine = must.Get(engine.New(watched, engine.Random(nil, keys), engine.Options{Clock: s.clock, Observer: s.metrics, MaxTries: 10, MaxDailyTries: 3}))(t)
	issuer := devtoken.New(s.clock)
	s.token = issuer.Token(auth.Caller{Subject: "tester", Account: "acme", Scopes: []string{api.ScopeRegister, api.ScopeRead, api.ScopeSchedule, api.ScopeReveal, api.ScopeVerify}}, 24*time.Hour)
	endpoint := must.Get(api.New(s.engine, issuer, api.Options{Clock: s.clock, Audit: slog.New(auditLog)}))(t)
	s.endpoint = must.Get(s.metrics.Handler(endpoint))(t)
	s.monitor = must.Get(condition.New(condition.Sources{
		Store: watched, Writes: &writes, Audit: auditLog, Totals: s.metrics.Totals, Clock: s.clock,
		KeysLoaded: func() time.Time { return s.keys },
		Relay:      func() outbox.State { return s.relay },
		Stopping:   func() bool { return s.stopping },
	}))(t)
	registry.MustRegister(s.monitor)
	page := must.Get(status.New(watched, s.metrics.Recent(), status.Options{
		Clock: s.clock, Relay: func() outbox.State { return s.relay }, Conditions: s.monitor.Current, Replica: "host-7, process 42",
	}))(t)
	s.ops = opsHandler(registry, page, s.monitor.Current)
	s.pass(0)
	return s
}

// pass lets d pass, delivers the events, and lets the monitor check.
func (s *surroundings) pass(d time.Duration) {
	s.clock.Set(s.clock.Now().Add(d))
	if !s.hold {
		s.settle(store.StatusDelivered)
	}
	s.monitor.Check(s.t.Context())
}

func (s *surroundings) get(path string) (int, string) {
	answer := httptest.NewRecorder()
	s.ops.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer.Code, answer.Body.String()
}

// call calls the endpoint.
func (s *surroundings) call(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer := httptest.NewRecorder()
	s.endpoint.ServeHTTP(answer, r)
	return answer
}

// register registers the card a.
func (s *surroundings) register(body string) {
	s.t.Helper()
	if a := s.call("PUT", "/v1/cards/a", body); a.Code != 201 {
		s.t.Fatal(a.Code, a.Body)
	}
}

// change changes a stored card, and adds an event.
func (s *surroundings) change(card string, change func(*store.Card)) {
	s.t.Helper()
	must.Do(s.t, s.store.Update(context.Background(), card, "", func(c *store.Change) error {
		change(&c.Card)
		c.Card.Events++
		c.Event = &store.Event{Card: card, Number: c.Card.Events, At: c.Now, Payload: []byte("{}")}
		c.Write = true
		return nil
	}))
}

// fail makes calls of the store fail.
func (s *surroundings) fail(err error, calls ...memory.Call) {
	s.store.SetFaults(func(op memory.Op) memory.Fault {
		for _, c := range calls {
			if op.Call == c {
				return memory.Fault{Before: err}
			}
		}
		return memory.Fault{}
	})
}

var writeCalls = []memory.Call{memory.CallUpdate, memory.CallClaim, memory.CallCheckWrites}

// conditions has a way to bring about each condition. After end, and the time, it no
// longer holds.
var conditions = map[string]struct {
	begin  func(*surroundings)
	detail string // on the page
	end    func(*surroundings)
	lasts  time.Duration
	also   []string // conditions that come with it
}{
	"store_unreachable": {
		begin: func(s *surroundings) {
			s.fail(fmt.Errorf("dial db-1: %w", store.ErrUnavailable), memory.CallNow, memory.CallStats)
		},
		detail: "dial db-1", end: func(s *surroundings) { s.fail(nil) },
	},
	"store_slow": {
		begin:  func(s *surroundings) { s.fail(context.DeadlineExceeded, memory.CallStats) },
		detail: "deadline exceeded", end: func(s *surroundings) { s.fail(nil) },
	},
	"schema_mismatch": {
		begin:  func(s *surroundings) { s.fail(fmt.Errorf("%w: no column spread", store.ErrSchema), memory.CallStats) },
		detail: "no column spread", end: func(s *surroundings) { s.fail(nil) }, also: []string{"store_slow"},
	},
	"writes_failing": {
		begin: func(s *surroundings) {
			s.fail(fmt.Errorf("%w: disk full", store.ErrReadOnly), writeCalls...)
			if a := s.call("PUT", "/v1/cards/a", ""); a.Code != 503 || a.Header().Get("Retry-After") == "" {
				s.t.Errorf("a call is answered with %d %v", a.Code, a.Header())
			}
		},
		detail: "disk full", end: func(s *surroundings) { s.fail(nil) }, also: []string{"calls_failing"},
	},
	"token_keys_missing": {
		begin: func(s *surroundings) { s.keys = time.Time{} },
		end:   func(s *surroundings) { s.keys = s.clock.Now() },
	},
	"token_keys_stale": {
		begin:  func(s *surroundings) { s.keys = s.clock.Now().Add(-7 * time.Hour) },
		detail: "7h0m", end: func(s *surroundings) { s.keys = s.clock.Now() },
	},
	"audit_log_failing": {
		begin: func(s *surroundings) {
			s.audit = func([]byte) (int, error) { return 0, errors.New("no space left on device") }
			s.register("")
		},
		detail: "no space left on device", end: func(s *surroundings) { s.audit = nil },
	},
	"rotations_late": {
		begin: func(s *surroundings) {
			s.change("a", func(c *store.Card) { c.Next, c.Due = s.clock.Now(), s.clock.Now() })
			s.pass(11 * time.Second)
		},
		detail: "Due: 1, the oldest for 1", end: func(s *surroundings) { s.change("a", func(c *store.Card) { c.Due = time.Time{} }) },
	},
	"cards_failing": {
		begin:  func(s *surroundings) { s.change("a", func(c *store.Card) { c.Failures, c.Failure = 1, "no key 7" }) },
		detail: "Failing cards: 1", end: func(s *surroundings) { s.change("a", func(c *store.Card) { c.Failures = 0 }) },
	},
	"reveals_failing": {
		begin: func(s *surroundings) {
			s.register("")
			s.change("a", func(c *store.Card) { c.Sealed = []byte("damaged") })
			if a := s.call("GET", "/v1/cards/a/cvv", ""); a.Code != 500 {
				s.t.Errorf("a call is answered with %d", a.Code)
			}
		},
		detail: "Failed calls to this replica: 1", lasts: 5 * time.Minute, also: []string{"calls_failing"},
	},
	"calls_failing": {
		begin: func(s *surroundings) {
			s.fail(errors.New("bug"), memory.CallCard)
			s.call("GET", "/v1/cards/a/cvv/schedule", "")
			s.call("GET", "/v1/cards/a/cvv/rotation", "")
			s.call("GET", "/v1/cards/a/cvv", "")
		},
		detail: "of this replica", lasts: 5 * time.Minute, also: []string{"reveals_failing"},
		end: func(s *surroundings) { s.fail(nil) },
	},
	"sink_down": {
		begin:  func(s *surroundings) { s.relay.Down, s.relay.Failure = s.clock.Now(), "status 502 of hooks.example" },
		detail: "status 502 of hooks.example", end: func(s *surroundings) { s.relay.Down = time.Time{} },
	},
	"events_late": {
		begin: func(s *surroundings) {
			s.hold = true
			s.change("a", func(*store.Card) {})
			s.pass(61 * time.Second)
		},
		detail: "Undelivered: 1, the oldest for 1m", end: func(s *surroundings) { s.hold = false },
	},
	"events_parked": {
		begin: func(s *surroundings) {
			s.change("a", func(*store.Card) {})
			s.settle(store.StatusParked)
		},
		detail: "Parked events: 1",
		end: func(s *surroundings) {
			must.Get(s.store.Requeue(context.Background(), 0, 1<<40))(s.t)
		},
	},
	"draining": {
		begin: func(s *surroundings) { s.stopping = true },
		end:   func(s *surroundings) { s.stopping = false },
	},
	"card_throttled": {
		begin: func(s *surroundings) {
			s.register("")
			for range 4 {
				s.call("POST", "/v1/cards/a/cvv/verify", `{"cvv":"1234"}`)
			}
		},
		detail: "within an hour: 1", also: []string{"guessing"}, lasts: time.Hour,
	},
	"guessing": {
		begin: func(s *surroundings) {
			s.register("")
			s.call("POST", "/v1/cards/a/cvv/verify", `{"cvv":"1234"}`)
		},
		detail: "1 of 1", lasts: 10 * time.Minute,
	},
	"slots_missed": {
		begin: func(s *surroundings) {
			s.register(`{"cvv_rotation_interval_hours":1}`)
			s.clock.Set(s.clock.Now().Add(3*time.Hour + time.Minute))
			s.rotateDue()
			s.change("a", func(c *store.Card) { c.Next, c.Due = time.Time{}, time.Time{} })
		},
		detail: "within 15 minutes: 2", lasts: 15 * time.Minute,
	},
	"clock_stepped": {
		begin:  func(s *surroundings) { s.metrics.Repaired() },
		detail: "Repaired by this replica within an hour: 1", lasts: time.Hour,
	},
	"many_unlocks": {
		begin: func(s *surroundings) {
			for range 21 {
				s.metrics.Unlocked()
			}
		},
		detail: "within an hour: 21", lasts: time.Hour,
	},
}

// rotateDue runs the engine until no card is due.
func (s *surroundings) rotateDue() {
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- s.engine.Run(ctx) }()
	until(s.t, "no card is due", func() bool {
		stats, err := s.store.Stats(ctx)
		return err == nil && stats.Backlog == 0
	})
	stop()
	must.Do(s.t, <-done)
}

// settle gives all waiting events a status.
func (s *surroundings) settle(to store.Status) {
	ctx := context.Background()
	var results []store.Delivery
	for _, e := range must.Get(s.store.ListWaiting(ctx, 1000, nil))(s.t) {
		results = append(results, store.Delivery{Position: e.Position, Status: to, Failure: "x"})
	}
	must.Do(s.t, s.store.RecordDeliveries(ctx, results))
}

// Each condition appears on the status page, in /readyz and in the metric while it holds,
// and in none of them before and after. The page says OK only if none holds.
func TestConditions_AppearEverywhereWhileTheyHold(t *testing.T) {
	for _, c := range condition.List {
		t.Run(c.Name, func(t *testing.T) {
			way, ok := conditions[c.Name]
			if !ok {
				t.Fatal("the test does not bring it about")
			}
			s := newSurroundings(t)
			s.expect("before")
			way.begin(s)
			s.pass(5 * time.Second)
			s.expect("while it holds", append(way.also, c.Name)...)
			if _, page := s.get("/"); !strings.Contains(page, html.EscapeString(way.detail)) || !strings.Contains(page, "host-7, process 42") {
				t.Errorf("the page does not name %q or its replica: %s", way.detail, page[strings.Index(page, "<body>"):])
			}
			if way.end != nil {
				way.end(s)
			}
			if way.lasts > 0 {
				s.pass(way.lasts - 20*time.Second)
				if !s.metric(c.Name) {
					t.Error("it ended within its window")
				}
			}
			s.pass(6 * time.Minute) // the window of the calls
			s.expect("after")
		})
	}
}

// metric reports whether the metric of the condition is 1.
func (s *surroundings) metric(name string) bool {
	_, text := s.get("/metrics")
	return strings.Contains(text, fmt.Sprintf("cvv_condition{name=%q} 1\n", name))
}

// expect compares what is shown everywhere with the conditions that should hold.
func (s *surroundings) expect(when string, names ...string) {
	s.t.Helper()
	ready, severe := true, false
	var want []string // in the order of the list
	for _, c := range condition.List {
		holds := slices.Contains(names, c.Name)
		if holds {
			want = append(want, c.Name)
			ready = ready && !c.NotReady
			severe = severe || c.Severity == condition.Page
		}
		if got := s.metric(c.Name); got != holds {
			s.t.Errorf("%s: the metric of %s is %t", when, c.Name, got)
		}
	}
	s.pass(3 * time.Second) // the page is cached for 2 s
	_, page := s.get("/")
	code, body := s.get("/readyz")
	shown := regexp.MustCompile(`href="/runbook#(\w+)"`).FindAllStringSubmatch(page, -1)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for name, got := range map[string][]string{"page": captured(shown), "readyz": captured(regexp.MustCompile(`(?m)^(\w+): `).FindAllStringSubmatch(body, -1))} {
		if diff := cmp.Diff(want, got); diff != "" {
			s.t.Errorf("%s: %s: %s", when, name, diff)
		}
	}
	if status, word := map[bool]int{true: 200, false: 503}[ready], map[bool]string{true: "ok", false: "not ready"}[ready]; code != status || lines[0] != word {
		s.t.Errorf("%s: /readyz is %d %s, want %d %s", when, code, lines[0], status, word)
	}
	if ok := strings.Contains(page, "<strong>OK</strong>"); ok != (len(names) == 0) {
		s.t.Errorf("%s: the page says OK: %t", when, ok)
	}
	if strings.Contains(page, `class="severe"`) != severe {
		s.t.Errorf("%s: the page shows no severity", when)
	}
	_, runbook := s.get("/runbook")
	for _, name := range names {
		if !strings.Contains(runbook, `id="`+name+`"`) {
			s.t.Errorf("the runbook lacks %s", name)
		}
	}
}

func captured(matches [][]string) (all []string) {
	for _, m := range matches {
		all = append(all, m[1])
	}
	return all
}
