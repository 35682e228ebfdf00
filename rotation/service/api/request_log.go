package api

import (
	"net/http"
	"slices"

	"cvvrotation/rotation/internal/panmask"
)

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
		"request_id", panmask.Mask(c.requestID), "subject", panmask.Mask(c.caller.Subject), "card", c.card,
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
