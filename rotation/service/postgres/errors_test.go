package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

func TestWrapError_Classes(t *testing.T) {
	answer := func(code string) error { return &pgconn.PgError{Code: code} }
	for name, test := range map[string]struct{ err, class error }{
		"read only":         {answer("25006"), store.ErrReadOnly},
		"disk full":         {answer("53100"), store.ErrReadOnly},
		"too many clients":  {answer("53300"), store.ErrUnavailable},
		"starting":          {answer("57P03"), store.ErrUnavailable},
		"statement timeout": {answer("57014"), store.ErrUnavailable},
		"deadlock":          {answer("40P01"), store.ErrUnavailable},
		"no table":          {answer("42P01"), store.ErrSchema},
		"no column":         {answer("42703"), store.ErrSchema},
		"refused":           {&net.OpError{Err: errors.New("refused")}, store.ErrUnavailable},
		"closed":            {io.ErrUnexpectedEOF, store.ErrUnavailable},
		"unknown outcome":   {&unknownOutcome{io.EOF}, store.ErrUnavailable},
		"violation":         {answer("23514"), nil},
		"syntax":            {answer("42601"), nil},
		"cancelled":         {context.Canceled, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := wrapError("update", test.err)
			if !errors.Is(err, test.err) {
				t.Errorf("%v lost its cause", err)
			}
			if test.class != nil && !errors.Is(err, test.class) {
				t.Errorf("%v is no %v", err, test.class)
			}
			if got, want := errors.Is(err, store.ErrUnavailable), test.class == store.ErrUnavailable || test.class == store.ErrReadOnly; got != want {
				t.Errorf("%v is unavailable: %t, want %t", err, got, want)
			}
			if errors.Is(err, store.ErrReadOnly) != (test.class == store.ErrReadOnly) {
				t.Errorf("%v is read only", err)
			}
		})
	}
}

// Every write of a server that became read-only is ErrReadOnly, CheckWrites included.
// Writes succeed once it accepts them again.
func TestReadOnlyServer_RefusesEveryWriteAsErrReadOnly(t *testing.T) {
	server := pgtest.New(t)
	url := migrated(t, server.Database(t))
	s := open(t, url, Options{})
	putDue(t, s, "card", time.Now())
	must.Do(t, s.CheckWrites(t.Context()))
	admin := connect(t, url)
	readOnly := func(on string) {
		t.Helper()
		must.Get(admin.Exec(t.Context(), "ALTER SYSTEM SET default_transaction_read_only = "+on))(t)
		must.Get(admin.Exec(t.Context(), "SELECT pg_reload_conf()"))(t)
		waitFor(t, url, "SELECT current_setting('default_transaction_read_only') = $1", on)
	}
	readOnly("on")
	for name, call := range map[string]func(context.Context) error{
		"Update":           func(ctx context.Context) error { return s.Update(ctx, "card", "", rotate) },
		"Claim":            func(ctx context.Context) error { _, err := s.Claim(ctx, 1, rotate); return err },
		"RecordDeliveries": func(ctx context.Context) error { return s.RecordDeliveries(ctx, []store.Delivery{{Position: 1}}) },
		"DeleteExpired":    func(ctx context.Context) error { _, err := s.DeleteExpired(ctx, time.Now(), 1); return err },
		"Requeue":          func(ctx context.Context) error { _, err := s.Requeue(ctx, 1, 1); return err },
		"CheckWrites":      s.CheckWrites,
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(t.Context()); !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("%v", err)
			}
		})
	}
	must.Get(admin.Exec(t.Context(), "SET default_transaction_read_only = off"))(t)
	readOnly("off")
	must.Do(t, s.CheckWrites(t.Context()))
	must.Do(t, s.Update(t.Context(), "card", "", rotate))
	checkConsistent(t, url)
}

// A table that vanished is ErrSchema.
func TestMissingColumn_IsErrSchema(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	putDue(t, s, "card", time.Now())
	must.Get(connect(t, url).Exec(t.Context(), "ALTER TABLE cards RENAME COLUMN spread TO spread2"))(t)
	if err := s.Update(t.Context(), "card", "", rotate); !errors.Is(err, store.ErrSchema) {
		t.Errorf("%v", err)
	}
}
