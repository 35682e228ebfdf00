package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/auth"
)

// call is a request on its way.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	id      string // the request's
	started time.Time
	op      *operation  // nil: the path leads nowhere
	known   bool        // the token is accepted
	caller  auth.Caller // zero until then
	card    string      // "" until it is checked
	query   url.Values
	effect  engine.Effect // what the engine did
	reason  error         // of an answer that is a problem
}

func (c *call) route() string {
	if c.op == nil {
		return ""
	}
	return c.op.route
}

// serve checks who calls and what for, and has the operation done.
func (h *handler) serve(c *call) (*answer, error) {
	if c.op.scope != "" {
		if err := h.admit(c); err != nil {
			return nil, err
		}
	}
	if err := c.readQuery(); err != nil {
		return nil, err
	}
	return c.op.handle(h, c)
}

// admit lets pass who has a good token with the operation's scope, and has not
// come too often.
func (h *handler) admit(c *call) error {
	id := c.r.PathValue("cardId")
	wrong := checkCard(id)
	if wrong == "" {
		c.card = id // from here on it may be logged
	}
	token, err := auth.FromRequest(c.r)
	if err != nil {
		return err
	}
	if c.caller, err = h.auth.Authenticate(c.r.Context(), token); err != nil {
		return err
	}
	c.known = true
	if wait := h.perCaller.take(c.caller.Subject, h.clock.Now()); wait > 0 {
		return &problem{kind: kindTooMany, retry: wait, detail: "from this caller"}
	}
	if !c.caller.Has(c.op.scope) {
		return &problem{kind: kindScope, detail: "it needs " + c.op.scope, challenge: auth.ScopeChallenge(c.op.scope)}
	}
	if !c.anyAccount() && checkName(c.caller.Account) != "" {
		return &problem{kind: kindScope, detail: "it names no account, and lacks " + ScopeAnyAccount, challenge: auth.ScopeChallenge(ScopeAnyAccount)}
	}
	if wrong != "" {
		return invalid(fieldError{Field: "cardId", In: "path", Detail: wrong})
	}
	// By account too, so that nobody can use up what others may do.
	if wait := h.perCard.take(c.caller.Account+"/"+c.card, h.clock.Now()); wait > 0 {
		return &problem{kind: kindTooMany, retry: wait, detail: "for this card"}
	}
	return nil
}

func (c *call) anyAccount() bool { return c.caller.Has(ScopeAnyAccount) }

// ref names the call's card, for the engine.
func (c *call) ref() engine.Ref {
	ref := engine.Ref{Card: c.card, Effect: &c.effect}
	if !c.anyAccount() {
		ref.Account = c.caller.Account
	}
	return ref
}

// readQuery refuses query parameters other than the operation's: what is in a
// URL ends up in logs.
func (c *call) readQuery() error {
	var err error
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return invalid(fieldError{Field: "query", In: "query", Detail: "can't be read"})
	}
	for name, values := range c.query {
		switch {
		case name != c.op.query && c.op.query == "":
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: nothing is taken here"})
		case name != c.op.query:
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: it must be " + c.op.query})
		case len(values) > 1:
			return invalid(fieldError{Field: name, In: "query", Detail: "must stand once"})
		}
	}
	return nil
}

// checkCard returns what is wrong with a card's id, "" when nothing is. It
// comes before the engine's own check, to know what may be logged.
func checkCard(id string) string { return wrong(engine.CheckCard(id)) }

// checkName returns what is wrong with a name that is stored and logged.
func checkName(name string) string { return wrong(engine.CheckName("", name)) }

func wrong(err error) string {
	if e, ok := errors.AsType[*engine.FieldError](err); ok {
		return e.Detail
	}
	return ""
}

// methods are those that logs and metrics tell apart.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// finish writes the log's record of the request and tells the observer.
func (h *handler) finish(c *call, a *answer) {
	x := Exchange{Method: c.r.Method, Route: c.route(), Status: a.status, Took: h.clock.Since(c.started)}
	if !slices.Contains(methods, x.Method) {
		x.Method = "OTHER"
	}
	args := []any{
		"method", x.Method, "route", x.Route, "status", x.Status, "took", x.Took,
		"request_id", c.id, "subject", c.caller.Subject, "card", c.card,
	}
	if kind := a.problem(); kind != "" {
		args = append(args, "problem", kind)
	}
	if c.reason != nil && (a.status == http.StatusUnauthorized || a.status == http.StatusServiceUnavailable) {
		args = append(args, "reason", c.reason.Error()) // which the caller is not told
	}
	h.log.InfoContext(c.r.Context(), "request", args...)
	h.options.Observe(x)
}
