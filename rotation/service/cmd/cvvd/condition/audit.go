package condition

import (
	"context"
	"log/slog"
	"sync"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/audit"
)

// AuditLog is the handler of an audit log that remembers failures: from a record that
// could not be written until one is. Then it first writes a record of
// audit.OperationResumeLog, which says how many are missing. Make one with WatchAudit.
type AuditLog struct {
	slog.Handler
	log *auditLog
}

type auditLog struct {
	base     slog.Handler
	clock    clock.Clock
	outcomes Outcomes
	resuming sync.Mutex
}

// WatchAudit returns an audit log that writes to h. The times are clk's, the system's if
// it is nil.
func WatchAudit(h slog.Handler, clk clock.Clock) *AuditLog {
	if clk == nil {
		clk = clock.New()
	}
	return &AuditLog{h, &auditLog{base: h, clock: clk}}
}

// State returns what is remembered.
func (a *AuditLog) State() State { return a.log.outcomes.State() }

// Resume writes the record of the missing ones, if there are any.
func (a *AuditLog) Resume(ctx context.Context) error {
	a.log.resuming.Lock()
	defer a.log.resuming.Unlock()
	missing := a.State().Failures
	if missing == 0 {
		return nil
	}
	r := audit.Record{Operation: audit.OperationResumeLog, Outcome: audit.OutcomeDone, Missing: missing}
	now := a.log.clock.Now()
	err := r.Write(ctx, slog.New(a.log.base), now)
	if err == nil {
		a.log.outcomes.Record(now, nil)
	}
	return err
}

// Handle implements slog.Handler.
func (a *AuditLog) Handle(ctx context.Context, r slog.Record) error {
	err := a.Resume(ctx)
	if err == nil {
		err = a.Handler.Handle(ctx, r)
	}
	a.log.outcomes.Record(a.log.clock.Now(), err)
	return err
}

// WithAttrs implements slog.Handler.
func (a *AuditLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &AuditLog{a.Handler.WithAttrs(attrs), a.log}
}

// WithGroup implements slog.Handler.
func (a *AuditLog) WithGroup(name string) slog.Handler {
	return &AuditLog{a.Handler.WithGroup(name), a.log}
}
