package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"sync"

	"github.com/benbjohnson/clock"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// auditLog is where audit records go: a file, as lines of JSON, or standard error,
// among the logs.
type auditLog struct {
	*slog.Logger
	file *appended // nil: standard error
}

// openAudit opens the audit log that the configuration names. As with a database,
// the daemon makes the file, so that it is the daemon's; an operator's command
// does not.
func (c *cli) openAudit(cfg *config.Config, create bool) (*auditLog, error) {
	if cfg.Log.AuditFile == "" {
		return &auditLog{Logger: c.logger(cfg)}, nil
	}
	f := &appended{path: cfg.Log.AuditFile, flags: os.O_WRONLY | os.O_APPEND}
	if create {
		f.flags |= os.O_CREATE
	}
	if err := f.Reopen(); err != nil {
		err = fmt.Errorf("the audit log: %w", err)
		if !create && errors.Is(err, os.ErrNotExist) {
			err = command.Hint(err, "cvvd serve and cvvd migrate make it")
		}
		return nil, err
	}
	return &auditLog{slog.New(slog.NewJSONHandler(f, nil)), f}, nil
}

// Close closes the file. What is recorded afterwards is an error.
func (a *auditLog) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// reopen opens the file by its name again, after it was moved away.
func (a *auditLog) reopen(logger *slog.Logger) {
	if a.file == nil {
		return
	}
	if err := a.file.Reopen(); err != nil {
		logger.Error("the audit log could not be opened again; the one before stays", "error", err)
		return
	}
	logger.Info("the audit log was opened again")
}

// appended is a file of lines that other processes append to as well: each Write
// is whole. What a disk that was full took of a line is ended before the next one. A
// file that was moved away or deleted is made anew, by who may make it.
type appended struct {
	path  string
	flags int

	mu   sync.Mutex
	file io.WriteCloser
	torn bool // the last line has no end
}

func (a *appended) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := os.Stat(a.path); errors.Is(err, fs.ErrNotExist) { // else a deleted file would swallow records
		if err := a.open(); err != nil {
			return 0, err
		}
	}
	if a.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := a.file.Write(line)
	if n > 0 {
		a.torn = line[n-1] != '\n'
	}
	return n, err
}

// Reopen opens the file and closes the one before, which stays after an error.
func (a *appended) Reopen() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open()
}

func (a *appended) open() error {
	f, err := os.OpenFile(a.path, a.flags, 0o600)
	if err != nil {
		return err
	}
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.torn = f, false
	return nil
}

func (a *appended) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Close()
}

// audited does what an operator asked for and records it. do completes the record.
func (c *cli) audited(ctx context.Context, cfg *config.Config, operation audit.Operation, create bool, do func(*audit.Record) error) error {
	log, err := c.openAudit(cfg, create)
	if err != nil {
		return err
	}
	r := c.operator()
	r.Operation = operation
	failed := do(&r)
	r.Outcome = audit.OutcomeOf(failed)
	if command.IsUsage(failed) {
		r.Outcome = audit.InvalidRequest
	}
	if err := errors.Join(r.Write(ctx, log.Logger, clock.New().Now()), log.Close()); err != nil {
		unrecorded := fmt.Errorf("the audit log has no record of this: %w", err)
		if failed == nil {
			unrecorded = fmt.Errorf("it was done, but %w", unrecorded)
		}
		return errors.Join(failed, unrecorded)
	}
	return failed
}

// operator returns a record with who runs this command: the user that the
// operating system knows, and who that was before sudo.
func (c *cli) operator() audit.Record {
	id := strconv.Itoa(os.Getuid())
	r := audit.Record{By: "operator", Subject: "uid " + id, Sudo: c.env("SUDO_USER")}
	if u, err := user.LookupId(id); err == nil { // user.Current believes $USER where there is no entry
		r.Subject = u.Username
	}
	r.From, _ = os.Hostname()
	return r
}
