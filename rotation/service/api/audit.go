package api

import (
	"cmp"
	"net/http"

	"cvvrotation/rotation/service/audit"
)

// audited reports whether the call belongs in the audit log: see the package audit.
// The request log has all calls of known callers.
func (c *call) audited(r *response) bool {
	switch {
	case c.op.audited == "" || r.status == http.StatusTooManyRequests:
		return false
	case c.caller.Subject == "":
		return r.status == http.StatusUnauthorized
	case c.op.audited == audit.OperationVerify && r.status == http.StatusOK:
		return c.effect.Locked || c.effect.Throttled // every payment has a verdict
	}
	return true
}

// record writes the call's audit record, if it needs one. It returns the response to
// send: a CVV is not sent without its record.
func (h *handler) record(c *call, r *response) *response {
	if !c.audited(r) {
		return r
	}
	record := audit.Record{
		Operation: c.op.audited, Outcome: cmp.Or(r.problem(), audit.OutcomeDone), Card: c.card, Effect: c.effect,
		From: text(c.origin.from), Proxy: text(c.origin.proxy), Certificate: c.origin.certificate,
		RequestID: c.requestID, ClientRequestID: c.clientID,
	}
	if c.caller.Subject == "" {
		var ok bool
		if record.Suppressed, ok = h.refusals.admit(c.origin.from, h.clock.Now()); !ok {
			return r
		}
		record.Detail = c.err.Error() // which the response does not contain
	} else {
		record.By, record.Subject, record.SubjectAccount = cmp.Or(c.caller.By, "token"), c.caller.Subject, c.caller.Account
	}
	ctx := c.r.Context()
	err := record.Write(ctx, h.options.Audit, h.clock.Now())
	if err == nil {
		return r
	}
	h.log.ErrorContext(ctx, "audit log write failed; the record follows", "request_id", c.requestID, "error", err)
	if _, ok := r.body.(revealed); ok {
		r = (&problem{name: audit.OutcomeUnavailable, retry: unavailableRetry, detail: "the CVV was not revealed: the audit log is unavailable"}).response(c.requestID)
		record.Outcome = audit.OutcomeUnavailable
	}
	record.Write(ctx, h.log, h.clock.Now())
	return r
}
