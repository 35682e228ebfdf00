package status

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/draw/browsertest"
	"cvvrotation/sim/must"
)

// eventful returns a world with a card that has known everything: settings, automatic
// and forced rotations, a missed slot, a leak, a lock, failures, and events that were
// parked, delivered and deleted.
func eventful(t *testing.T, card string) *world {
	t.Helper()
	w := newWorld()
	w.clock.Set(now.Add(-80 * time.Hour))
	ref := engine.Ref{Card: card, Account: "acme"}
	_, _, err := w.engine.Register(t.Context(), ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 12 * time.Hour}})
	must.Do(t, err)
	tick := func(d time.Duration) {
		w.clock.Add(d)
		must.Get(w.engine.Tick(t.Context()))(t)
	}
	force := func(d time.Duration, compromised bool) {
		w.clock.Add(d)
		must.Get(w.engine.Force(t.Context(), ref, engine.ForceRequest{Compromised: compromised}))(t)
	}
	tick(12 * time.Hour)
	force(time.Minute, false)
	tick(12 * time.Hour)
	tick(37 * time.Hour) // an outage
	force(3*time.Hour, true)
	force(30*time.Second, false)
	must.Get(w.engine.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: 24 * time.Hour}))(t)
	var wrong cvvgen.CVV
	must.Do(t, wrong.UnmarshalText([]byte("0000"))) // all others have 3 digits
	for range 3 {
		must.Get(w.engine.Verify(t.Context(), ref, wrong))(t)
	}
	must.Do(t, w.store.Update(t.Context(), card, "", func(change *store.Change) error {
		change.Card.Failures, change.Card.Failure, change.Write = 4, "drawing a CVV: key 2 <script>", true
		return nil
	}))
	must.Do(t, w.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}))
	w.clock.Set(now)
	must.Get(w.store.DeleteExpired(t.Context(), now, 10))(t)
	must.Do(t, w.store.RecordDeliveries(t.Context(), []store.Delivery{
		{Position: 2, Status: store.StatusDelivered}, {Position: 3, Status: store.StatusParked, Failure: "410 Gone <b>"}, {Position: 7, Status: store.StatusWaiting, Failure: "connection refused"},
	}))
	return w
}

func (w *world) visit(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer
}

func TestCard_ShowsWhyTheCVVChanged(t *testing.T) {
	w := eventful(t, "card-7c1e")
	answer := w.visit(t, "/cards/card-7c1e")
	html := answer.Body.String()
	for _, want := range []string{
		"<title>Card card-7c1e · cvvd</title>",
		"<dt>Automatic</dt><dd>every 24h</dd>", "locked since 2026-11-", "<dt>Wrong CVVs</dt><dd>3 in a row, 3 within 24 hours</dd>",
		"<dt>Rotation failed</dt><dd>4 times in a row, the last time: drawing a CVV: key 2 &lt;script&gt;</dd>",
		"<p class=\"note-line\">Event 1 is no longer kept (engine.keep_events).</p>",
		"forced 1m after the automatic rotation at 19:00:00: CVV rotated, schedule kept",
		"2 slots missed", "; compromised: the previous CVV stopped being accepted immediately",
		"interval set to 24h: new schedule", "dead-lettered (parked) at position 3: 410 Gone &lt;b&gt;",
		"not delivered yet, failed 1 time: connection refused",
		`<li id="event-7">`, `<a href="#mark-7">8</a>`, `id="mark-7"`, `href="#event-7"`, "· rule R2",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, never := range []string{"<script", "style=", "onload", "https://", "<b>"} {
		if strings.Contains(html, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if got := strings.ReplaceAll(html, "http://www.w3.org/2000/svg", ""); strings.Contains(got, "http://") {
		t.Error("the page loads something")
	}
	header := answer.Header()
	if csp := header.Get("Content-Security-Policy"); answer.Code != 200 || !regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$`).MatchString(csp) || header.Get("Cache-Control") != "no-store" {
		t.Error(answer.Code, header)
	}
	if t.Failed() {
		t.Log(html)
	}
}

func TestCard_PagesThroughAllEvents(t *testing.T) {
	w := newWorld()
	_, _, err := w.engine.Register(t.Context(), engine.Ref{Card: "x:1.b", Account: "acme"}, engine.RegisterRequest{})
	must.Do(t, err)
	for range 2*cardEvents + 5 {
		must.Get(w.engine.Force(t.Context(), engine.AnyAccount("x:1.b"), engine.ForceRequest{}))(t)
	}
	seen := 0
	link := regexp.MustCompile(`<a href="([^"]*)">Older events</a>`)
	for path := "/cards/x:1.b"; path != ""; {
		answer := w.visit(t, path)
		html := answer.Body.String()
		seen += strings.Count(html, `<p class="sentence">`)
		if has := strings.Contains(html, ">Newer events<"); answer.Code != 200 || has != strings.Contains(path, "before") {
			t.Fatal(path, answer.Code, html)
		}
		path = ""
		if m := link.FindStringSubmatch(html); m != nil {
			path = m[1]
		}
	}
	if seen != 2*cardEvents+5 {
		t.Errorf("%d events", seen)
	}
}

func TestCard_OfACardThatNothingHappenedTo(t *testing.T) {
	w := newWorld()
	_, _, err := w.engine.Register(t.Context(), engine.Ref{Card: "x:1.b", Account: "acme"}, engine.RegisterRequest{})
	must.Do(t, err)
	for _, path := range []string{"/cards/x:1.b", "/cards/x%3A1%2Eb"} {
		answer := w.visit(t, path)
		html := answer.Body.String()
		if answer.Code != 200 || !strings.Contains(html, "have not changed since the card was registered.") || !strings.Contains(html, "<dd>version 1, created 2026-11-22 15:00:00 UTC</dd>") || strings.Contains(html, "<svg") || strings.Contains(html, "The events") {
			t.Error(path, answer.Code, html)
		}
	}
}

func TestCard_RefusesWithoutQuotingAPossiblePAN(t *testing.T) {
	w := eventful(t, "card")
	w.put(t, store.Card{ID: "damaged"})
	for _, test := range []struct {
		path   string
		status int
		says   string
	}{
		{"/cards/unknown", 404, "There is no card with this id."},
		{"/cards/4111111111111111", 400, "could be a card number"},
		{"/cards/4111-1111-1111-1111", 400, "could be a card number"},
		{"/cards/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 400, "must"},
		{"/cards/a%2Fb", 400, "must"},
		{"/cards/..%2F", 400, "must"},
		{"/cards/a%22b", 400, "must"},
		{"/cards/" + strings.Repeat("x", 65), 400, "must"},
		{"/cards/card?before=0", 400, "before: must be the number of an event"},
		{"/cards/card?before=x", 400, "before: must be the number of an event"},
		{"/cards/card?before=%3Cb%3E", 400, "before: must be the number of an event"},
		{"/cards/damaged", 503, "The history cannot be read; see the log."},
		{"/cards/card/x", 404, "404"},
		{"/card", 404, "404"},
	} {
		t.Run(test.path, func(t *testing.T) {
			answer := w.visit(t, test.path)
			html := answer.Body.String()
			if answer.Code != test.status || !strings.Contains(html, test.says) {
				t.Errorf("%d, want %d: %s", answer.Code, test.status, html)
			}
			if strings.Contains(html+w.log.String(), "411111") || strings.Contains(html+w.log.String(), "4111-") || strings.Contains(html, "<script") || strings.Contains(html, "<b>") {
				t.Error("the id is quoted: " + html)
			}
		})
	}
	if log := w.log.String(); !strings.Contains(log, "reading a card's history failed") {
		t.Error(log)
	}
	w.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: errors.New("SECRET")} })
	if answer := w.visit(t, "/cards/card"); answer.Code != 503 || strings.Contains(answer.Body.String(), "SECRET") {
		t.Error(answer.Code, answer.Body)
	}
}

// The form sends the id in the body: a PAN that someone pastes does not get into a URL.
func TestFindCard_RedirectsToTheCard(t *testing.T) {
	w := eventful(t, "card")
	for id, want := range map[string]string{
		"card": "303 /cards/card", "x:1.b": "303 /cards/x:1.b", "4111 1111 1111 1111": "400 ", "4111111111111111": "400 ", "": "400 ", "<b>": "400 ",
		strings.Repeat("x", 5000): "400 ",
	} {
		t.Run(id[:min(len(id), 20)], func(t *testing.T) {
			answer := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/cards", strings.NewReader(url.Values{"card": {id}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w.page.ServeHTTP(answer, r)
			must.Equal(t, want, fmt.Sprint(answer.Code, " ", answer.Header().Get("Location")))
			if strings.Contains(answer.Body.String(), "4111") {
				t.Error("the response quotes a possible PAN")
			}
		})
	}
	if html := w.visit(t, "/cards").Body.String(); !strings.Contains(html, `<form method="post" action="/cards">`) || strings.Contains(html, "http-equiv") {
		t.Error(html)
	}
	if html := w.visit(t, "/").Body.String(); !strings.Contains(html, `<a href="/cards">Card history</a>`) || !strings.Contains(html, `<a href="/cards/card">card</a>`) {
		t.Error(html)
	}
}

func TestHandler_WithoutCardsHasNoCardPages(t *testing.T) {
	w := newWorld()
	w.page = must.Get(New(w.store, w.metrics.Recent(), Options{}))(t)
	if answer := w.visit(t, "/cards/card"); answer.Code != 404 {
		t.Error(answer.Code)
	}
	if html := w.visit(t, "/").Body.String(); strings.Contains(html, "/cards") {
		t.Error(html)
	}
}

// It opens the pages in a real browser, and follows the links between marks and events.
func TestCard_PageIsReadableInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := browsertest.Start(t)
	if *shots != "" {
		os.MkdirAll(*shots, 0o755)
	}
	w := eventful(t, "card-7c1e:0b5e7a1c-3f5d-4d0e-9a39-0123456789ab")
	server := httptest.NewServer(w.page)
	defer server.Close()
	for name, path := range map[string]string{"card": "/cards/card-7c1e:0b5e7a1c-3f5d-4d0e-9a39-0123456789ab", "find": "/cards", "unknown": "/cards/unknown"} {
		for theme, s := range map[string]browsertest.Screen{
			"light": {Width: 1280, Height: 1100}, "dark": {Width: 1280, Height: 1100, Dark: true},
			"phone": {Width: 390, Height: 844, Phone: true}, "phone_dark": {Width: 320, Height: 640, Phone: true, Dark: true},
		} {
			t.Run(name+"_"+theme, func(t *testing.T) {
				p := b.Visit(t, server.URL+path, s)
				if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > s.Width {
					t.Errorf("%d pixels wide, on a screen of %d", w, s.Width)
				}
				if low := browsertest.Eval[[]string](p, contrast); len(low) > 0 {
					t.Errorf("hard to read: %s", strings.Join(low, "; "))
				}
				p.Shoot(*shots, name+"_"+theme)
				if name != "card" {
					return
				}
				const marks = `[...document.querySelectorAll(".mark")].every(m => document.querySelector(m.getAttribute("href")).querySelector("a").getAttribute("href") == "#" + m.id)`
				if !browsertest.Eval[bool](p, marks) || browsertest.Eval[int](p, `document.querySelectorAll(".mark").length`) != 7 {
					t.Error("a mark does not link to its event and back")
				}
				const newest = `(() => { const box = document.querySelector(".picture").getBoundingClientRect(), mark = document.querySelector("#mark-7").getBoundingClientRect(); return mark.left >= box.left && mark.right <= box.right; })()`
				if !s.Phone && !browsertest.Eval[bool](p, newest) { // a phone shows the slots ahead
					t.Error("the newest event is out of sight")
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
