// Package status is a page for operators: backlog, lateness, the next hour and
// what fails, drawn by the server, without a script. It reads only, and shows no
// CVV and no PAN.
package status

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
)

// Options is what the page shows.
type Options struct {
	Store   store.Store         // required
	Recent  *telemetry.Recent   // required
	Relay   func() outbox.State // nil: nothing is delivered from here
	Clock   clock.Clock         // nil: the real one
	Logger  *slog.Logger        // told why the store could not be asked; nil: nobody
	Version string              // of the program
}

// The page asks the store no more often than maxAge, however many look at it,
// and waits no longer than patience.
const (
	refresh  = 10 * time.Second
	maxAge   = 2 * time.Second
	patience = 5 * time.Second
	failing  = 20 // cards in the table
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":      func() template.CSS { return template.CSS(pageCSS) },
	"number":   number,
	"duration": duration,
}).Parse(pageHTML))

// policy lets the page have its own style, and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// Handler serves the page at whatever path it is asked for.
type Handler struct {
	o       Options
	started time.Time

	mu   sync.Mutex
	last *view
	at   time.Time
}

// New returns the page. The uptime counts from now.
func New(o Options) *Handler {
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{o: o, started: o.Clock.Now()}
}

// ServeHTTP answers with the page: 503 when the store does not answer.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := h.view(r.Context())
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		h.o.Logger.ErrorContext(r.Context(), "the status page could not be drawn", "error", err)
		http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if v.Down {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	w.Write(b.Bytes())
}

// view returns what to show, which may be maxAge old.
func (h *Handler) view(ctx context.Context) *view {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Clock.Now()
	if h.last != nil && now.Sub(h.at) < maxAge && now.After(h.at) {
		return h.last
	}
	// One caller who goes away must not spoil it for those who wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	h.last, h.at = h.look(ctx, now), now
	return h.last
}

// look asks the store.
func (h *Handler) look(ctx context.Context, now time.Time) *view {
	v := &view{Version: h.o.Version, Uptime: now.Sub(h.started), Refresh: int(refresh.Seconds()), Now: now.UTC()}
	v.addRecent(h.o.Recent.Hour())
	if h.o.Relay != nil {
		v.addRelay(h.o.Relay(), now)
	}
	err := h.ask(ctx, v)
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "the status page could not ask the store", "error", err)
		v.Down = true
		v.Notes = append([]note{{Bad: true, Text: "The store does not answer: what is below is incomplete. The log says why."}}, v.Notes...)
	}
	return v
}

func (h *Handler) ask(ctx context.Context, v *view) error {
	now, err := h.o.Store.Now(ctx)
	if err != nil {
		return err
	}
	v.Now = now
	stats, err := h.o.Store.Stats(ctx)
	if err != nil {
		return err
	}
	v.addStats(stats)
	counts, err := h.o.Store.CountDue(ctx, now, time.Minute, 60)
	if err != nil {
		return err
	}
	v.addForecast(counts)
	if stats.Failing == 0 {
		return nil
	}
	cards, err := h.o.Store.ListFailingCards(ctx, failing)
	if err != nil {
		return err
	}
	v.addFailing(cards)
	return nil
}
