package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/benbjohnson/clock"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// auditLog writes audit records: as chained lines of JSON to a file, or to standard
// error among the logs.
type auditLog struct {
	*slog.Logger
	file  *audit.File  // nil: standard error
	path  string       // of the file; "": standard error
	check func() error // whether the file may be used
}

// openAudit opens the audit log that the configuration names. Only the daemon
// creates the file, so that the daemon's user owns it; an operator's command does
// not.
func (c *cli) openAudit(cfg *config.Config, create bool) (*auditLog, error) {
	if cfg.Log.AuditFile == "" {
		return &auditLog{Logger: c.logger(cfg)}, nil
	}
	f, err := audit.OpenFile(cfg.Log.AuditFile, audit.FileOptions{Create: create})
	if err != nil {
		err = fmt.Errorf("audit log: %w", err)
		if !create && errors.Is(err, os.ErrNotExist) {
			err = command.Hint(err, "run cvvd serve or cvvd migrate to create it")
		}
		if errors.Is(err, os.ErrPermission) {
			err = command.Hint(err, "cvvd must read the file, too: each record has the hash of the previous one")
		}
		return nil, err
	}
	return &auditLog{slog.New(slog.NewJSONHandler(f, nil)), f, cfg.Log.AuditFile, cfg.CheckAuditFile}, nil
}

// Close closes the file. Recording after Close fails.
func (a *auditLog) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// reopen reopens the file after log rotation.
func (a *auditLog) reopen(logger *slog.Logger) {
	if a.file == nil {
		return
	}
	err := a.check()
	if err == nil {
		err = a.file.Reopen()
	}
	if err != nil {
		logger.Error("reopening the audit log failed; still writing to the old file", "error", err)
		return
	}
	a.report(logger, "audit log reopened")
}

// report logs where the chain ends. A copy of the log on another machine then shows
// whether the file was rewritten.
func (a *auditLog) report(logger *slog.Logger, message string) {
	if a.file == nil {
		logger.Info("audit records have no hash chain: they are in this log")
		return
	}
	p, chained, err := a.file.Position()
	switch {
	case err != nil:
		logger.Error("reading the end of the audit log failed; continuing", "error", err)
	case !chained:
		logger.Info("audit records have no hash chain: log.audit_file is a pipe or a device")
	default:
		// The path comes last: a line that ends in the hash is a record of an audit file.
		logger.Info(message, "seq", p.Seq, "hash", p.Hash, "file", a.path)
	}
}

// audited runs do, which changes something for an operator and completes the
// record, and writes the record. It does not run do if the file is locked or cannot be
// read.
func (c *cli) audited(ctx context.Context, cfg *config.Config, operation audit.Operation, create bool, do func(*audit.Record) error) error {
	log, err := c.openAudit(cfg, create)
	if err != nil {
		return err
	}
	if log.file != nil {
		if _, _, err := log.file.Position(); err != nil {
			return errors.Join(fmt.Errorf("audit log: %w", err), log.Close())
		}
	}
	r := c.identity().record()
	r.Operation = operation
	failed := do(&r)
	r.Outcome = audit.OutcomeOf(failed)
	if command.IsUsage(failed) {
		r.Outcome = audit.OutcomeInvalidRequest
	}
	if err := errors.Join(r.Write(ctx, log.Logger, clock.New().Now()), log.Close()); err != nil {
		err = fmt.Errorf("writing the audit record failed: %w", err)
		if failed == nil {
			err = fmt.Errorf("the command was executed, but %w", err)
		}
		return errors.Join(failed, err)
	}
	return failed
}
