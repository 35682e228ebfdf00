package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// The URL's user does not exist. Only a connection that follows Configure gets another
// one, as it would get a password that expires.
func TestConfigure_AppliesToEveryConnection(t *testing.T) {
	url := strings.Replace(newSchema(pgtest.Start(t)), "postgres@", "nobody@", 1)
	var dials, logins atomic.Int32
	o := Options{Configure: func(c *pgxpool.Config) error {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return dial(ctx, network, address)
		}
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.User = "postgres"
			return nil
		}
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			logins.Add(1)
			_, err := conn.Exec(ctx, "SET synchronous_commit = off") // has no effect
			return err
		}
		return nil
	}}
	must.Do(t, Migrate(t.Context(), url, o))
	s := open(t, url, o)
	putDue(t, s, "card", time.Now().Add(-time.Hour)) // foreground
	if ids := claim(t, s, 1); len(ids) != 1 {        // background
		t.Errorf("claimed %d cards", len(ids))
	}
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	lease.Release()
	if dials.Load() < 4 || dials.Load() != logins.Load() {
		t.Errorf("%d connections were dialled and %d logged in; want at least 4 of each", dials.Load(), logins.Load())
	}
	var level string
	if err := s.foreground.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&level); err != nil || level != "on" {
		t.Errorf("synchronous_commit is %s, %v; want on", level, err)
	}
}

func TestConfigure_RefusesWhatTheStoreCannotWorkWith(t *testing.T) {
	wrong := errors.New("no token")
	for want, configure := range map[string]func(*pgxpool.Config) error{
		"Options.Configure: no token": func(*pgxpool.Config) error { return wrong },
		"must be on, remote_apply": func(c *pgxpool.Config) error {
			c.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
			return nil
		},
		"default_query_exec_mode": func(c *pgxpool.Config) error {
			c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
			return nil
		},
		"sslmode=verify-full, or": func(c *pgxpool.Config) error {
			c.ConnConfig.Host, c.ConnConfig.Fallbacks[0].Host = "db.example", "db.example"
			return nil
		},
	} {
		t.Run(want, func(t *testing.T) {
			o := Options{Configure: configure}
			_, err := Open(t.Context(), "postgres://u@127.0.0.1:1/db", o)
			for _, err := range []error{err, Migrate(t.Context(), "postgres://u@127.0.0.1:1/db", o)} {
				if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, wrong) != strings.Contains(want, wrong.Error()) {
					t.Errorf("%v; want an error with %q", err, want)
				}
			}
		})
	}
}
