package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// careless are settings with which a server confirms commits long before it writes
// them to disk, so that a crash undoes them.
var careless = []string{"synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB"}

func TestConfirmedCommits_SurviveCrashOfACarelessServer(t *testing.T) {
	server := pgtest.New(t, careless...)
	s := open(t, migrated(t, server.Database(t)), Options{})
	putDue(t, s, "card", time.Now().Add(-36*time.Hour)) // due twice
	for i, do := range []func() error{
		func() error { return s.Update(t.Context(), "card", "", rotate) },
		func() error { _, err := s.Claim(t.Context(), 1, rotate); return err },
	} {
		must.Do(t, do())
		server.Stop(t)
		server.Start(t)
		c, err := s.Card(t.Context(), "card")
		for errors.Is(err, store.ErrUnavailable) { // the pool replaces broken connections one by one
			c, err = s.Card(t.Context(), "card")
		}
		if want := int64(i + 2); err != nil || c.Version != want {
			t.Errorf("after call %d and a crash: version %d, %v; want %d", i+1, c.Version, err, want)
		}
	}
}

// The settings of server, role, database and options do not change how the store's
// sessions commit and isolate transactions.
func TestSessions_OverrideSettingsOfServerAndRole(t *testing.T) {
	server := pgtest.New(t, append(careless, "default_transaction_isolation=serializable")...)
	direct := server.Database(t)
	url := migrated(t, direct)
	conn := connect(t, direct)
	for _, sql := range []string{
		"ALTER ROLE postgres SET synchronous_commit = off",
		"DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = local'; END $$",
		"DO $$ BEGIN EXECUTE 'ALTER ROLE postgres IN DATABASE ' || current_database() || ' SET synchronous_commit = remote_write'; END $$",
		"ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'",
	} {
		must.Get(conn.Exec(t.Context(), sql))(t)
	}
	show := func(db querier, setting string) (value string) {
		t.Helper()
		must.Do(t, db.QueryRow(t.Context(), "SHOW "+setting).Scan(&value))
		return value
	}
	if other := connect(t, url); show(other, "synchronous_commit") != "remote_write" || show(other, "default_transaction_isolation") != "repeatable read" {
		t.Fatal("the settings have no effect on other sessions, so this test proves nothing")
	}
	for more, want := range map[string]string{
		"":                                       "on",
		"&options=-c%20synchronous_commit%3Doff": "on",
		"&Synchronous_Commit=off":                "on",
		"&synchronous_commit=Remote_Apply":       "remote_apply",
	} {
		s := open(t, url+more, Options{})
		for _, pool := range []*pgxpool.Pool{s.foreground, s.background} {
			if got := show(pool, "synchronous_commit"); got != want {
				t.Errorf("%s: synchronous_commit is %s, want %s", more, got, want)
			}
			if got := show(pool, "default_transaction_isolation"); got != "read committed" {
				t.Errorf("%s: isolation is %s", more, got)
			}
		}
	}
}

func TestOpen_RefusesFsyncOffUnlessConfirmed(t *testing.T) {
	server := pgtest.New(t, "fsync=off", "full_page_writes=off")
	database := server.Database(t)
	const both = "&cvvd.fsync=off&cvvd.full_page_writes=off"
	must.Do(t, Migrate(t.Context(), database+both, Options{}))
	check := func(more, wrong, write string) {
		t.Helper()
		s, openErr := Open(t.Context(), database+more, Options{})
		if openErr == nil {
			s.Close()
		}
		for call, err := range map[string]error{"Open": openErr, "Migrate": Migrate(t.Context(), database+more, Options{})} {
			if wrong == "" && err == nil {
				continue
			}
			if err == nil || wrong == "" || !strings.Contains(err.Error(), "runs with "+wrong+", so") || !strings.HasSuffix(err.Error(), "add "+write+" to the URL") {
				t.Errorf("%s with %q: %v", call, more, err)
			}
		}
	}
	check("", "fsync = off and full_page_writes = off", both[1:])
	check("&cvvd.fsync=on&cvvd.full_page_writes=on", "fsync = off and full_page_writes = off", both[1:])
	check("&cvvd.fsync=off", "full_page_writes = off", "cvvd.full_page_writes=off")
	check("&cvvd.full_page_writes=off", "fsync = off", "cvvd.fsync=off")
	check(both, "", "")
	conn := connect(t, database)
	for _, name := range []string{"fsync", "full_page_writes"} {
		must.Get(conn.Exec(t.Context(), "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET cvvd."+name+" = off'; END $$"))(t)
	}
	check("", "", "")
}

// reported is a server that reports a version.
type reported struct {
	number  int
	version string
}

func (r reported) QueryRow(_ context.Context, sql string, _ ...any) pgx.Row { return row{r, sql} }

type row struct {
	reported
	sql string
}

func (r row) Scan(to ...any) error {
	if strings.Contains(r.sql, "server_version") {
		*to[0].(*int), *to[1].(*string) = r.number, r.version
	}
	return nil
}

func TestCheckServer_RefusesOldVersions(t *testing.T) {
	for _, test := range []struct {
		server reported
		ok     bool
	}{
		{reported{90624, "9.6.24"}, false},
		{reported{130023, "13.23 (Debian 13.23-1.pgdg12+1)"}, false},
		{reported{140000, "14.0"}, true},
		{reported{150018, "15.18"}, true},
		{reported{180004, "18.4"}, true},
	} {
		t.Run(test.server.version, func(t *testing.T) {
			err := checkServer(t.Context(), test.server)
			if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "PostgreSQL "+test.server.version+"; 14 or newer is needed") {
				t.Error(err)
			}
		})
	}
}
