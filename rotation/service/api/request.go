package api

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cvvrotation/rotation/internal/cardid"
)

// requestID returns the request's X-Request-Id if it is safe to log, or else a new
// id. An id without a letter could be a PAN or a CVV.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if cardid.CheckName(id) == nil && strings.ContainsFunc(id, func(c rune) bool { return c > '9' && c != ':' && c != '_' }) {
		return id
	}
	return rand.Text()
}

// idempotencyKey returns the request's Idempotency-Key, or "" if there is none. The
// engine checks its length and characters.
func idempotencyKey(h http.Header) (string, error) {
	keys := h.Values("Idempotency-Key")
	switch {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1 || keys[0] == "":
		return "", invalid(fieldError{Field: "Idempotency-Key", In: "header", Detail: "must occur once and not be empty"})
	}
	return keys[0], nil
}

// readQuery parses the query. It refuses parameters other than the operation's,
// because URLs end up in logs.
func (c *call) readQuery() error {
	var err error
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return invalid(fieldError{Field: "query", In: "query", Detail: "is malformed"})
	}
	for name, values := range c.query {
		switch {
		case name != c.op.query && c.op.query == "":
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: this operation has no query parameters"})
		case name != c.op.query:
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: the only query parameter is " + c.op.query})
		case len(values) > 1:
			return invalid(fieldError{Field: name, In: "query", Detail: "must occur once"})
		}
	}
	return nil
}

// methods are the methods that logs and metrics name.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// finish logs the request and calls Options.Observe.
func (h *handler) finish(c *call, r *response) {
	x := Exchange{Method: c.r.Method, Route: c.route(), Status: r.status, Took: h.clock.Since(c.started)}
	if !slices.Contains(methods, x.Method) {
		x.Method = "OTHER"
	}
	args := []any{
		"method", x.Method, "route", x.Route, "status", x.Status, "took", x.Took,
		"request_id", c.requestID, "subject", c.caller.Subject, "card", c.card,
	}
	if name := r.problem(); name != "" {
		args = append(args, "problem", name)
	}
	if c.err != nil && (r.status == http.StatusUnauthorized || r.status == http.StatusServiceUnavailable) {
		args = append(args, "reason", c.err.Error()) // which the response does not contain
	}
	h.log.InfoContext(c.r.Context(), "request", args...)
	h.options.Observe(c.r.Context(), x)
}
