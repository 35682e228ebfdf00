package api

import (
	"context"
	"crypto/rand"
	_ "embed"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-json-experiment/json"

	"cvvrotation/rotation/engine"
)

//go:embed openapi.json
var document []byte

// OpenAPI returns the description of the endpoint: an OpenAPI 3.1 document, as it
// is served at /openapi.json.
func OpenAPI() []byte { return slices.Clone(document) }

// operation is what a method does at a path.
type operation struct {
	method, route string
	scope         string // "": no token is needed
	audited       string // what the audit log calls it; "": it changes and reveals nothing
	query         string // the one query parameter that it takes; "": none
	handle        func(*handler, *call) (*answer, error)
}

var operations = []operation{
	{"POST", "/v1/cards/{cardId}/cvv/rotate", ScopeRotate, "rotate", "", (*handler).rotate},
	{"GET", "/v1/cards/{cardId}/cvv/rotation", ScopeRead, "", "slots", (*handler).showSchedule},
	{"PATCH", "/v1/cards/{cardId}/cvv/rotation", ScopeSchedule, "set_interval", "", (*handler).setSchedule},
	{"DELETE", "/v1/cards/{cardId}/cvv/rotation", ScopeSchedule, "disable", "", (*handler).deleteSchedule},
	{"GET", "/v1/cards/{cardId}/cvv", ScopeReveal, "reveal", "", (*handler).reveal},
	{"POST", "/v1/cards/{cardId}/cvv/verify", ScopeVerify, "verify", "", (*handler).verify},
	{"POST", "/v1/cards/{cardId}/cvv/unlock", ScopeUnlock, "unlock", "", (*handler).unlock},
	{"PUT", "/v1/cards/{cardId}", ScopeRegister, "register", "", (*handler).register},
	{"GET", "/openapi.json", "", "", "", (*handler).openAPI},
}

// handler is the endpoint.
type handler struct {
	engine    *engine.Engine
	auth      Authenticator
	options   Options
	clock     clock.Clock
	log       *slog.Logger
	audit     *slog.Logger
	mux       *http.ServeMux
	perCard   *limiter
	perCaller *limiter
}

// New returns the endpoint over the engine. The error says which option is out of
// range.
func New(e *engine.Engine, a Authenticator, o Options) (http.Handler, error) {
	if err := o.PerCard.check("PerCard"); err != nil {
		return nil, err
	}
	if err := o.PerCaller.check("PerCaller"); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Logger
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(Exchange) {}
	}
	h := &handler{
		engine: e, auth: a, options: o, clock: o.Clock, log: o.Logger, audit: o.Audit,
		mux: http.NewServeMux(), perCard: newLimiter(o.PerCard), perCaller: newLimiter(o.PerCaller),
	}
	for i := range operations {
		op := &operations[i]
		h.mux.HandleFunc(op.method+" "+op.route, func(_ http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(callKey{}).(*call)
			c.op, c.r = op, r
		})
	}
	return h, nil
}

// callKey is the context's key for the call, while the mux looks for its
// operation.
type callKey struct{}

// ServeHTTP answers the request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, id: requestID(r), started: h.clock.Now()}
	ctx, cancel := context.WithTimeout(r.Context(), h.options.Timeout)
	defer cancel()
	c.r = r.WithContext(context.WithValue(ctx, callKey{}, c))
	a := h.answer(c)
	if c.op != nil {
		r.Pattern = c.op.method + " " + c.op.route // for those who measure around this handler
		a = h.record(c, a)
	}
	a.write(c)
	h.finish(c, a)
}

// answer finds the operation and has it done. It always returns an answer.
func (h *handler) answer(c *call) (a *answer) {
	defer func() {
		if v := recover(); v != nil {
			h.log.ErrorContext(c.r.Context(), "a request panicked", "request_id", c.id, "route", c.route(), engine.Panicked(v))
			a = (&problem{kind: kindInternal}).answer(c.id)
		}
	}()
	err := h.route(c)
	if err == nil {
		a, err = h.serve(c)
	}
	if err == nil {
		return a
	}
	p := problemOf(err)
	c.reason = err
	if p.kind == kindInternal {
		h.log.ErrorContext(c.r.Context(), "a request failed", "request_id", c.id, "route", c.route(), "error", err)
	}
	return p.answer(c.id)
}

// route sets the call's operation.
func (h *handler) route(c *call) error {
	if p := c.r.URL.Path; !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "\\\x00") ||
		strings.Count(c.r.URL.EscapedPath(), "/") != strings.Count(p, "/") {
		// The mux would redirect some of these, and take an encoded slash for part of an id.
		return invalid(fieldError{Field: "path", In: "path", Detail: "must not have empty or dot segments, encoded slashes, backslashes or a slash at its end"})
	}
	found, pattern := h.mux.Handler(c.r)
	if pattern != "" {
		h.mux.ServeHTTP(c.w, c.r) // which sets the path's values, and writes nothing
		return nil
	}
	refusal := &recorder{header: http.Header{}}
	found.ServeHTTP(refusal, c.r)
	if refusal.status == http.StatusMethodNotAllowed {
		return &problem{kind: kindMethod, allow: refusal.header.Get("Allow")}
	}
	return &problem{kind: kindNoRoute}
}

// recorder keeps what the mux answers by itself.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

// answer is what a request is answered with.
type answer struct {
	status      int
	contentType string // "": application/json
	body        any    // nil: none; []byte is written as it is
	header      http.Header
}

// problem is the kind of problem that the answer tells of, such as scope-missing;
// "": none.
func (a *answer) problem() string {
	if p, ok := a.body.(problemBody); ok {
		return p.Type[len(problemURI):]
	}
	return ""
}

func (a *answer) write(c *call) {
	header := c.w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	header.Set("X-Request-Id", c.id)
	header.Set("X-Content-Type-Options", "nosniff")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	if a.body == nil {
		c.w.WriteHeader(a.status)
		return
	}
	b, ok := a.body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(a.body); err != nil {
			panic("api: an answer that can't be encoded") // they are all our own
		}
		defer clear(b)
	}
	contentType := a.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	header.Set("Content-Type", contentType)
	c.w.WriteHeader(a.status)
	c.w.Write(b) // an error is the client's, who is gone
}

// requestID returns the request's own id if it is fit for logs, else a new one.
// Without a letter it could be a PAN or a CVV.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if checkName(id) == "" && strings.ContainsFunc(id, func(c rune) bool { return c > '9' && c != ':' && c != '_' }) {
		return id
	}
	return rand.Text()
}
