package api

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cvvrotation/rotation/engine"
)

// Record is a record of the audit log: who did what to which card, and what
// became of it. It holds no secret. The endpoint writes one for each call with an
// accepted token that changed a card, revealed a CVV, or was refused either; who
// does the same by other ways writes one of his own. The zero value of a field is
// that it is not known, and is left out.
type Record struct {
	Operation      string        // register, rotate, set_interval, disable, reveal, verify, unlock, or another's own
	Outcome        string        // see Outcome
	Card           string        // its id
	Effect         engine.Effect // what the engine has found and done
	Detail         string        // more, for people
	By             string        // what names the subject: token, or operator
	Subject        string        // who it was: sub of the token, or the operating system's user
	SubjectAccount string        // the account of the token; the card's is in Effect
	Sudo           string        // who became that user, as sudo tells
	From           string        // the other end of the connection, or the operator's machine
	RequestID      string
}

const outcomeDone = "done"

// Outcome returns what a record says of an operation that ended with the error:
// done for nil, else the problem that callers of the endpoint are told of, such as
// no-such-card.
func Outcome(err error) string {
	if err == nil {
		return outcomeDone
	}
	return problemOf(err).kind.name
}

// Write writes the record, whatever the level of the log, and returns the error
// of its handler. When it happened is Effect.At; now is when it is recorded.
func (r Record) Write(ctx context.Context, log *slog.Logger, now time.Time) error {
	record := slog.NewRecord(now, slog.LevelInfo, "audit", 0)
	add := func(known bool, attr slog.Attr) {
		if known {
			record.AddAttrs(attr)
		}
	}
	text := func(key, value string) { add(value != "", slog.String(key, value)) }
	e := r.Effect
	text("operation", r.Operation)
	text("outcome", r.Outcome)
	text("card", r.Card)
	text("account", e.Account)
	if !e.At.IsZero() {
		text("at", e.At.Format(time.RFC3339Nano)) // to the digit as in the event
	}
	add(e.Version > 0 && !e.At.IsZero(), slog.Bool("changed", e.Changed))
	add(e.Before > 0, slog.Int64("version_before", e.Before))
	add(e.Version > 0, slog.Int64("version", e.Version))
	add(e.Interval > 0, slog.Float64("interval_hours", e.Interval.Hours()))
	add(e.Locked, slog.Bool("locked", true))
	add(e.Replayed, slog.Bool("replayed", true))
	text("detail", r.Detail)
	text("by", r.By)
	text("subject", r.Subject)
	text("subject_account", r.SubjectAccount)
	text("sudo_user", r.Sudo)
	text("from", r.From)
	text("request_id", r.RequestID)
	return log.Handler().Handle(ctx, record)
}

// recorded reports whether the audit log has the call. It has none without an
// accepted token, whose sender nobody knows, and none above a limit: how much
// anybody can write there is thus what the limits allow. The log of requests has
// all of them.
func (c *call) recorded(a *answer) bool {
	switch {
	case c.op.audited == "" || !c.known || a.status == http.StatusTooManyRequests:
		return false
	case c.op.scope == ScopeVerify && a.status == http.StatusOK:
		return c.effect.Locked // each payment has a verdict; what changes with it is the lock
	}
	return true
}

// record writes the audit log's record of the call, if it is to have one, and
// returns what to answer: no CVV that is not on record.
func (h *handler) record(c *call, a *answer) *answer {
	if !c.recorded(a) {
		return a
	}
	ctx := c.r.Context()
	from, _, _ := net.SplitHostPort(c.r.RemoteAddr)
	r := Record{
		Operation: c.op.audited, Outcome: cmp.Or(a.problem(), outcomeDone), Card: c.card, Effect: c.effect,
		By: "token", Subject: c.caller.Subject, SubjectAccount: c.caller.Account, From: from, RequestID: c.id,
	}
	err := r.Write(ctx, h.audit, h.clock.Now())
	if err == nil {
		return a
	}
	h.log.ErrorContext(ctx, "the audit log does not take records; here is one", "request_id", c.id, "error", err)
	if _, ok := a.body.(revealed); ok {
		a = (&problem{kind: kindUnavailable, retry: unavailableRetry, detail: "nothing was revealed"}).answer(c.id)
		r.Outcome = a.problem()
	}
	r.Write(ctx, h.log, h.clock.Now())
	return a
}
