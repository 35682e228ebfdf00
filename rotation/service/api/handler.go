package api

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/internal/arguments"
	"cvvrotation/rotation/internal/paniclog"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/loglimit"
)

// Engine is what the endpoint needs of a rotation engine. *engine.Engine implements
// it.
type Engine interface {
	Register(context.Context, engine.Ref, engine.RegisterRequest) (engine.Schedule, bool, error)
	Force(context.Context, engine.Ref, engine.ForceRequest) (engine.Rotation, error)
	Show(ctx context.Context, ref engine.Ref, slots int) (engine.Schedule, error)
	History(ctx context.Context, ref engine.Ref, before int64, limit int) (engine.History, error)
	SetInterval(context.Context, engine.Ref, engine.IntervalRequest) (engine.Schedule, error)
	Disable(context.Context, engine.Ref) (engine.Schedule, error)
	Reveal(context.Context, engine.Ref) (engine.Revealed, error)
	Verify(context.Context, engine.Ref, cvvgen.CVV) (engine.Verification, error)
	Unlock(context.Context, engine.Ref) (engine.Effect, error)
}

// Authenticator identifies the caller of a request: *auth.Verifier by its bearer
// token, an embedder's own by a client certificate, a session, or otherwise.
//
// An error that matches auth.ErrUnauthenticated is answered with 401, and with the
// header WWW-Authenticate if the error has a method Challenge() string. An error that
// matches auth.ErrNotReady, and an expired context, are answered with 503. Any other
// error is answered with 500.
type Authenticator interface {
	AuthenticateRequest(*http.Request) (auth.Caller, error)
}

// operation is a method of a path.
type operation struct {
	method, route string
	scope         string          // that the caller needs; "": anybody may call it
	audited       audit.Operation // in the audit log; "": changes and reveals nothing
	query         []string        // names of the query parameters
	handle        func(*handler, *call) (*response, error)
}

var operations = []operation{
	{"POST", "/v1/cards/{cardId}/cvv/rotate", ScopeRotate, audit.OperationRotate, nil, (*handler).rotate},
	{"GET", "/v1/cards/{cardId}/cvv/rotation", ScopeRead, "", []string{"slots"}, (*handler).showSchedule},
	{"PATCH", "/v1/cards/{cardId}/cvv/rotation", ScopeSchedule, audit.OperationSetInterval, nil, (*handler).setSchedule},
	{"DELETE", "/v1/cards/{cardId}/cvv/rotation", ScopeSchedule, audit.OperationDisable, nil, (*handler).deleteSchedule},
	{"GET", "/v1/cards/{cardId}/cvv/history", ScopeHistory, "", []string{"before", "limit"}, (*handler).showHistory},
	{"GET", "/v1/cards/{cardId}/cvv", ScopeReveal, audit.OperationReveal, nil, (*handler).reveal},
	{"POST", "/v1/cards/{cardId}/cvv/verify", ScopeVerify, audit.OperationVerify, nil, (*handler).verify},
	{"POST", "/v1/cards/{cardId}/cvv/unlock", ScopeUnlock, audit.OperationUnlock, nil, (*handler).unlock},
	{"PUT", "/v1/cards/{cardId}", ScopeRegister, audit.OperationRegister, nil, (*handler).register},
	{"GET", "/openapi.json", "", "", nil, (*handler).openAPI},
}

// handler is the endpoint.
type handler struct {
	engine          Engine
	auth            Authenticator
	options         Options
	clock           clock.Clock
	log             *slog.Logger
	unauthenticated *slog.Logger // limited, for requests whose caller is not known
	mux             *http.ServeMux
	perCard         *limiter
	perCaller       *limiter
	refusals        *refusals
}

// New returns the endpoint on the engine. It returns an error if an argument is nil
// or an option is out of range.
func New(e Engine, a Authenticator, o Options) (http.Handler, error) {
	if arguments.Missing(e) || arguments.Missing(a) {
		return nil, errors.New("api: an Engine and an Authenticator are required")
	}
	if err := cmp.Or(o.PerCard.check("PerCard"), o.PerCaller.check("PerCaller")); err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, errors.New("api: Options.Timeout must not be negative")
	}
	o.Clock = cmp.Or(o.Clock, clock.New())
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Audit = cmp.Or(o.Audit, o.Logger)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.Observe == nil {
		o.Observe = func(context.Context, Exchange) {}
	}
	h := &handler{
		engine: e, auth: a, options: o, clock: o.Clock, log: o.Logger, unauthenticated: loglimit.New(o.Logger, o.Clock),
		mux: http.NewServeMux(), perCard: newLimiter(o.PerCard), perCaller: newLimiter(o.PerCaller), refusals: newRefusals(),
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

// call is a request that is being handled.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	requestID string // unique
	clientID  string // the client's X-Request-Id; "": none that is safe to log
	origin    origin
	started   time.Time
	op        *operation  // nil: no operation matched
	caller    auth.Caller // zero until authenticated
	card      string      // "" until it is known not to be a PAN
	query     url.Values
	effect    engine.Effect // what the engine did
	err       error         // that the response is a problem for
}

// callKey is the context key of the call while the mux matches its operation.
type callKey struct{}

// ServeHTTP handles the request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		w: w, requestID: newRequestID(), clientID: clientRequestID(r),
		origin: originOf(r, h.options.TrustedProxies), started: h.clock.Now(),
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.options.Timeout)
	defer cancel()
	c.r = r.WithContext(context.WithValue(ctx, callKey{}, c))
	response := h.respond(c)
	if c.op != nil {
		r.Pattern = c.op.method + " " + c.op.route // for metrics around this handler
		response = h.record(c, response)
	}
	response.write(c)
	h.finish(c, response)
}

// respond finds the operation, authorizes the caller and runs the operation. Errors
// and panics become problems.
func (h *handler) respond(c *call) (r *response) {
	defer func() {
		if v := recover(); v != nil {
			h.log.ErrorContext(c.r.Context(), "request handler panicked; answering 500", "request_id", c.requestID, "route", c.route(), paniclog.Attr(v))
			r = (&problem{name: audit.OutcomeInternalError}).response(c.requestID)
		}
	}()
	err := h.match(c)
	if err == nil && c.op.scope != "" {
		err = h.authorize(c)
	}
	if err == nil {
		err = c.readQuery()
	}
	if err == nil {
		r, err = c.op.handle(h, c)
	}
	if err == nil {
		return r
	}
	c.err = err
	if e, ok := errors.AsType[*engine.OperationError](err); ok {
		c.effect = e.Effect
	}
	p := problemOf(err)
	if p.name == audit.OutcomeInternalError {
		h.log.ErrorContext(c.r.Context(), "request failed; answering 500", "request_id", c.requestID, "route", c.route(), "error", err)
	}
	return p.response(c.requestID)
}

// match sets the call's operation.
func (h *handler) match(c *call) error {
	if p := c.r.URL.Path; !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "\\\x00") ||
		strings.Count(c.r.URL.EscapedPath(), "/") != strings.Count(p, "/") {
		// The mux would redirect some of these, and accept an encoded slash in an id.
		return invalid(fieldError{Field: "path", In: "path", Detail: "must not contain empty or dot segments, encoded slashes, backslashes or a trailing slash"})
	}
	found, pattern := h.mux.Handler(c.r)
	if pattern != "" {
		h.mux.ServeHTTP(c.w, c.r) // sets the path's values and calls the function from New, which writes nothing
		return nil
	}
	refusal := &statusRecorder{header: http.Header{}}
	found.ServeHTTP(refusal, c.r)
	if refusal.status == http.StatusMethodNotAllowed {
		return &problem{name: audit.OutcomeMethodNotAllowed, allow: refusal.header.Get("Allow")}
	}
	return &problem{name: audit.OutcomeNoSuchResource}
}

// route returns the route that the request matched, or "".
func (c *call) route() string {
	if c.op == nil {
		return ""
	}
	return c.op.route
}

// statusRecorder keeps the status and header of the mux's own responses.
type statusRecorder struct {
	header http.Header
	status int
}

func (r *statusRecorder) Header() http.Header         { return r.header }
func (r *statusRecorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *statusRecorder) WriteHeader(status int)      { r.status = status }
