package status

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/telemetry"
	"cvvrotation/sim/draw/browsertest"
	"cvvrotation/sim/must"
)

var shots = flag.String("shots", "", "folder to write screenshots of the page to; look at them")

var now = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// world is a page on a memory store.
type world struct {
	clock   *clock.Mock
	store   *memory.Store
	metrics *telemetry.Metrics
	engine  *engine.Engine
	page    *Handler
	log     logtest.Buffer
	relay   outbox.State
	monitor *condition.Monitor
}

func newWorld() *world {
	w := &world{clock: clock.NewMock()}
	w.clock.Set(now)
	w.store = memory.New(memory.Options{Clock: w.clock})
	var err error
	if w.metrics, err = telemetry.New(telemetry.Options{Clock: w.clock}); err != nil {
		panic(err)
	}
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize)))
	if err != nil {
		panic(err)
	}
	if w.engine, err = engine.New(w.store, engine.Random(nil, keys), engine.Options{Clock: w.clock}); err != nil {
		panic(err)
	}
	relay := func() outbox.State { return w.relay }
	w.monitor, err = condition.New(condition.Sources{
		Store: w.store, Writes: new(condition.Outcomes), Audit: condition.WatchAudit(slog.DiscardHandler, w.clock), Totals: w.metrics.Totals,
		Relay: relay, Stopping: func() bool { return false }, Clock: w.clock,
	})
	if err != nil {
		panic(err)
	}
	w.page, err = New(w.store, w.metrics.Recent(), Options{
		Cards: w.engine, Relay: relay, Conditions: w.monitor.Current, Replica: "host-7, process 42", Clock: w.clock, Logger: w.log.JSON(), Version: "v1.2.3",
	})
	if err != nil {
		panic(err)
	}
	return w
}

// put stores a card with an event.
func (w *world) put(t *testing.T, c store.Card) {
	t.Helper()
	must.Do(t, w.store.Update(context.Background(), c.ID, "", func(change *store.Change) error {
		c.Version, c.Account, c.Created, c.Rotated, c.Events = 1, "acme", now, now, 1
		change.Card, change.Write = c, true
		change.Event = &store.Event{Card: c.ID, Number: 1, At: change.Now, Payload: []byte("{}")}
		return nil
	}))
}

// busy returns a world with rotations, due cards, failures and parked events.
func busy(t *testing.T) *world {
	w := newWorld()
	for minute := range 60 {
		w.clock.Set(now.Add(time.Duration(minute-59) * time.Minute))
		for i := range (minute*37)%90 + minute/2 {
			kind, rule := rotation.KindAuto, rotation.R5
			if i%7 == 0 {
				kind, rule = rotation.KindForced, rotation.R3
			}
			w.metrics.Decided(engine.Observation{Kind: kind, Decision: rotation.Decision{Rule: rule}, Lateness: time.Duration(i*i) * time.Millisecond})
		}
	}
	w.clock.Set(now.Add(-3 * time.Minute))
	for i := range 400 {
		due := now.Add(time.Duration(i*i%3600) * time.Second)
		w.put(t, store.Card{ID: fmt.Sprintf("card-%04d", i), Next: due, Due: due, Interval: time.Hour})
	}
	for i := range 12 {
		due := now.Add(-time.Duration(i*13) * time.Second)
		w.put(t, store.Card{ID: fmt.Sprintf("late-%04d", i), Next: due, Due: due, Interval: time.Hour})
	}
	for i := range 23 {
		w.put(t, store.Card{
			ID: fmt.Sprintf("0b5e7a1c-3f5d-4d0e-9a39-%012d", i), Next: now, Due: now.Add(time.Duration(i*i) * 7 * time.Second), Interval: time.Hour,
			Failures: 1 + i, Failure: "drawing a CVV: seal: sealed under a key that the keyring does not have: key 2 <script>",
		})
	}
	must.Do(t, w.store.RecordDeliveries(context.Background(), []store.Delivery{{Position: 1, Status: store.StatusParked, Failure: "x"}, {Position: 2, Status: store.StatusParked, Failure: "x"}}))
	w.clock.Set(now)
	return w
}

func (w *world) get(t *testing.T) (int, string, http.Header) {
	t.Helper()
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	return answer.Code, answer.Body.String(), answer.Header()
}

func TestHandler_ShowsStatusProblemsAndFigures(t *testing.T) {
	w := busy(t)
	code, html, header := w.get(t)
	if code != 200 {
		t.Fatal(code, html)
	}
	for _, want := range []string{
		"cvvd v1.2.3", "2026-11-22 15:00:00 UTC", `<dt>Due now</dt><dd>20</dd>`, "<strong>Degraded</strong> 4 conditions hold.", "oldest for 2\u202fmin 23\u202fs",
		`<dt>Failing cards</dt><dd>23</dd>`, `<dt>Parked events</dt><dd>2</dd>`, `<dt>Undelivered events</dt><dd>433</dd>`,
		"435 cards ·", "Parked events: 2", "Due: 20, the oldest for 2m23s", "Failing cards: 23", `<a href="/runbook#rotations_late">What to do</a>`, "host-7, process 42 ·", "And 3 more.", "key 2 &lt;script&gt;", "in 7.0\u202fs", "<td>now</td>",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, never := range []string{"<script", "style=", "onload", "http://", "https://"} {
		if strings.Contains(html, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", header)
	}
	if t.Failed() {
		t.Log(html)
	}
}

func TestHandler_ReportsQuietSystemAsOK(t *testing.T) {
	code, html, _ := newWorld().get(t)
	if code != 200 || !strings.Contains(html, "<strong>OK</strong>") || strings.Contains(html, "<li") || strings.Contains(html, "⚠") {
		t.Error(code, html)
	}
}

// It shows what is known without the store, such as the state of the sink.
func TestHandler_ReportsUnreachableStore(t *testing.T) {
	w := busy(t)
	w.relay = outbox.State{Down: now.Add(-90 * time.Second), Failure: "connection refused"}
	w.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: errors.New("dial db-1: refused")} })
	code, html, _ := w.get(t)
	if code != 503 || !strings.Contains(html, "<strong>Not ready</strong>") || !strings.Contains(html, "Rotations per minute") || !strings.Contains(html, "dial db-1: refused") {
		t.Error(code, html)
	}
	if !strings.Contains(html, `<p class="cause">connection refused</p>`) {
		t.Error(html)
	}
}

func TestHandler_QueriesStoreOncePerTwoSeconds(t *testing.T) {
	w := newWorld()
	asked := 0
	w.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallCountDue {
			asked++
		}
		return memory.Fault{}
	})
	for range 50 {
		w.clock.Set(w.clock.Now().Add(100 * time.Millisecond))
		w.get(t)
	}
	if asked != 3 {
		t.Errorf("asked %d times within 5 seconds", asked)
	}
}

func TestNew_RequiresStoreAndRecent(t *testing.T) {
	w := newWorld()
	for name, err := range map[string]error{
		"no store":  second(New(nil, w.metrics.Recent(), Options{})),
		"no recent": second(New(w.store, nil, Options{})),
	} {
		t.Run(name, func(t *testing.T) {
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

func second(_ *Handler, err error) error { return err }

func TestFormat_DurationsAndNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 1499 * time.Microsecond: "1 ms", 1234 * time.Millisecond: "1.2 s", 59 * time.Second: "59 s",
		61 * time.Second: "1 min 1 s", 2 * time.Hour: "2 h", 25 * time.Hour: "1 d 1 h", 999 * time.Hour: "41 d 15 h",
	} {
		t.Run(want, func(t *testing.T) {
			if got := strings.ReplaceAll(duration(d), "\u202f", " "); got != want {
				t.Errorf("%v: %q, want %q", d, got, want)
			}
		})
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567", -1234: "-1 234", -123: "-123"} {
		t.Run(want, func(t *testing.T) {
			if got := strings.ReplaceAll(number(n), "\u202f", " "); got != want {
				t.Errorf("%d: %q, want %q", n, got, want)
			}
		})
	}
}

// It opens the page in a real browser: light, dark and on a phone; with problems,
// without data, and with the store down.
func TestHandler_PageIsReadableInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := browsertest.Start(t)
	if *shots != "" {
		os.MkdirAll(*shots, 0o755)
	}
	down := busy(t)
	down.relay = outbox.State{HasLease: true, Down: now.Add(-90 * time.Second), Failure: "webhook: https://hooks.example/cvv: status 502 Bad Gateway"}
	down.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: errors.New("down")} })
	for name, w := range map[string]*world{"busy": busy(t), "quiet": newWorld(), "down": down, "runbook": newWorld()} {
		path := map[string]string{"runbook": "/runbook"}[name]
		server := httptest.NewServer(w.page)
		defer server.Close()
		for theme, s := range map[string]browsertest.Screen{
			"light": {Width: 1280, Height: 1100}, "dark": {Width: 1280, Height: 1100, Dark: true},
			"phone": {Width: 390, Height: 844, Phone: true}, "phone_dark": {Width: 320, Height: 640, Phone: true, Dark: true},
		} {
			t.Run(name+"_"+theme, func(t *testing.T) {
				p := b.Visit(t, server.URL+cmp.Or(path, "/"), s)
				if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > s.Width {
					t.Errorf("%d pixels wide, on a screen of %d", w, s.Width)
				}
				if name == "busy" {
					if n := browsertest.Eval[int](p, `[...document.querySelectorAll("rect")].filter(r => r.getBoundingClientRect().height >= 1).length`); n < 80 {
						t.Errorf("only %d bars can be seen", n)
					}
				}
				if low := browsertest.Eval[[]string](p, contrast); len(low) > 0 {
					t.Errorf("hard to read: %s", strings.Join(low, "; "))
				}
				p.Shoot(*shots, name+"_"+theme)
				if name == "down" {
					return // the browser logs the status 503
				}
				for _, c := range p.Complaints() {
					if !strings.Contains(c, "/favicon.ico") {
						t.Errorf("the page complains: %s", c)
					}
				}
			})
		}
	}
}

// contrast lists the texts whose contrast with what is behind them is below 4.5
// (WCAG 2.1, AA).
const contrast = `(() => {
	const rgb = s => s.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	const low = [];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest("svg")) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) low.push(e.tagName + " " + e.textContent.slice(0, 30) + " " + ratio.toFixed(2));
	}
	return low;
})()`
