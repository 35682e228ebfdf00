package api

import (
	"errors"
	"net/http"
	"slices"

	"cvvrotation/rotation/internal/panmask"
	"cvvrotation/rotation/service/audit"
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
		"request_id", c.requestID, "from", text(c.origin.from), "subject", panmask.Mask(c.caller.Subject), "card", c.card,
		"client_certificate", c.origin.certificate, // an empty group is left out
	}
	if c.clientID != "" {
		args = append(args, "client_request_id", panmask.Mask(c.clientID))
	}
	if c.origin.proxy.IsValid() {
		args = append(args, "proxy", c.origin.proxy.String())
	}
	if name := r.problem(); name != "" {
		args = append(args, "problem", name)
	}
	if c.err != nil && (r.status == http.StatusUnauthorized || r.status == http.StatusServiceUnavailable) {
		args = append(args, "reason", c.err.Error()) // which the response does not contain
	}
	if p, ok := errors.AsType[*problem](c.err); ok && p.name == audit.OutcomeScopeMissing {
		args = append(args, "reason", p.detail) // names scopes alone
	}
	log := h.log
	if c.caller.Subject == "" {
		log = h.unauthenticated
	}
	log.InfoContext(c.r.Context(), "request", args...)
	h.options.Observe(c.r.Context(), x)
}
