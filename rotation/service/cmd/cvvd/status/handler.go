// Package status serves pages for operators. The status page has the overall status, the
// conditions that hold, backlog, lateness, a forecast of the next hour and failing cards.
// The runbook has all conditions, and what to do. The page of a card has its history,
// drawn and with a sentence for each event, and its lock. The server renders them; they
// have no script. They only read, and show no CVV and no PAN.
package status

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/cmd/cvvd/history"
	"cvvrotation/rotation/service/telemetry"
)

// Store is what the page needs of a store.
type Store interface {
	Now(ctx context.Context) (time.Time, error)
	Stats(ctx context.Context) (store.Stats, error)
	CountDue(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error)
	ListFailingCards(ctx context.Context, limit int) ([]store.Card, error)
}

// Options holds the optional arguments of [New].
type Options struct {
	// Cards reads single cards, for their pages. Nil: there are no such pages.
	Cards history.Engine
	// Relay returns the state of this process's relay. Nil: it has none.
	Relay func() outbox.State
	// LeaseHolder names the process that holds the outbox lease; "": not known. Nil: never
	// known.
	LeaseHolder func() string
	// Conditions returns the conditions that hold on this replica. Nil: none does.
	Conditions func() []condition.Holding
	// Replica names this process, such as its host and process id. May be empty.
	Replica string
	// Clock measures the uptime and the age of the page. Nil: the system's.
	Clock clock.Clock
	// Logger reports errors of the store. Nil: they are discarded.
	Logger *slog.Logger
	// Version is the version of the program. May be empty.
	Version string
}

// All viewers share one query of the store per maxAge. It times out after patience.
const (
	refresh  = 10 * time.Second
	maxAge   = 2 * time.Second
	patience = 5 * time.Second
	failing  = 20 // maximum number of cards in the table
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed runbook.html
var runbookHTML string

var functions = template.FuncMap{
	"css":      func() template.CSS { return template.CSS(pageCSS) },
	"number":   number,
	"duration": duration,
	"prose":    prose,
	"join":     strings.Join,
}

var (
	page    = template.Must(template.New("page").Funcs(functions).Parse(pageHTML))
	runbook = template.Must(template.New("runbook").Funcs(functions).Parse(runbookHTML))
)

var policy = policyFor(pageCSS)

// policyFor allows a page its own style, forms to this server, and nothing else.
func policyFor(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// Handler serves the status page at /, the runbook at /runbook, and the pages of cards
// below /cards.
type Handler struct {
	store   Store
	recent  *telemetry.Recent
	o       Options
	started time.Time
	mux     *http.ServeMux

	mu   sync.Mutex
	last *view
	at   time.Time
}

// New returns a handler that shows the store and the rotations in recent. The uptime
// counts from now. It returns an error if store or recent is nil.
func New(store Store, recent *telemetry.Recent, o Options) (*Handler, error) {
	if store == nil || recent == nil {
		return nil, errors.New("status: a store and recent rotations are required")
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{store: store, recent: recent, o: o, started: o.Clock.Now(), mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /{$}", h.showStatus)
	h.mux.HandleFunc("GET /runbook", h.showRunbook)
	if o.Cards != nil {
		h.mux.HandleFunc("GET /cards", h.askForCard)
		h.mux.HandleFunc("POST /cards", h.findCard)
		h.mux.HandleFunc("GET /cards/{id}", h.showCard)
	}
	return h, nil
}

// ServeHTTP answers the request with a page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// showStatus writes the status page, with status 503 if the store does not respond.
func (h *Handler) showStatus(w http.ResponseWriter, r *http.Request) {
	v := h.view(r.Context())
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		h.failed(w, r, err)
		return
	}
	status := http.StatusOK
	if v.Down {
		status = http.StatusServiceUnavailable
	}
	write(w, status, policy, b.Bytes())
}

// showRunbook writes the runbook of all conditions.
func (h *Handler) showRunbook(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := runbook.Execute(&b, condition.List); err != nil {
		h.failed(w, r, err)
		return
	}
	write(w, http.StatusOK, policy, b.Bytes())
}

func (h *Handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	h.o.Logger.ErrorContext(r.Context(), "rendering a page failed; answering 500", "error", err)
	http.Error(w, "rendering the page failed; see the log", http.StatusInternalServerError)
}

func write(w http.ResponseWriter, status int, policy string, html []byte) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	w.Write(html)
}

// view returns what to show. It may be up to maxAge old.
func (h *Handler) view(ctx context.Context) *view {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Clock.Now()
	if h.last != nil && now.Sub(h.at) < maxAge && now.After(h.at) {
		return h.last
	}
	// Other viewers wait for the result, so a viewer who leaves must not cancel it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	h.last, h.at = h.newView(ctx, now), now
	return h.last
}

// newView collects what to show.
func (h *Handler) newView(ctx context.Context, now time.Time) *view {
	v := &view{CardPages: h.o.Cards != nil, Version: h.o.Version, Replica: h.o.Replica, Uptime: now.Sub(h.started), Refresh: int(refresh.Seconds()), Now: now.UTC()}
	v.addRecent(h.recent.Hour())
	if h.o.Relay != nil {
		holder := ""
		if h.o.LeaseHolder != nil {
			holder = h.o.LeaseHolder()
		}
		v.Relay = relaying(h.o.Relay(), holder, now)
	}
	if h.o.Conditions != nil {
		v.addConditions(h.o.Conditions(), now)
	}
	err := h.query(ctx, v)
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "status page: querying the store failed; showing what is known without it", "error", err)
		v.Down = true
	}
	return v
}

// query adds what the store knows.
func (h *Handler) query(ctx context.Context, v *view) error {
	now, err := h.store.Now(ctx)
	if err != nil {
		return err
	}
	v.Now = now
	stats, err := h.store.Stats(ctx)
	if err != nil {
		return err
	}
	v.addStats(stats)
	counts, err := h.store.CountDue(ctx, now, time.Minute, 60)
	if err != nil {
		return err
	}
	v.addForecast(counts)
	if stats.Failing == 0 {
		return nil
	}
	cards, err := h.store.ListFailingCards(ctx, failing)
	if err != nil {
		return err
	}
	v.addFailing(cards)
	return nil
}
