package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

func TestSteps_VersionsHaveNoGaps(t *testing.T) {
	for i, m := range steps() {
		if m.version != i+1 {
			t.Errorf("%s is in the place of version %d", m.name, i+1)
		}
	}
}

func TestMigrate_ConcurrentCallsApplyEachVersionOnce(t *testing.T) {
	url := newSchema(pgtest.Start(t))
	var processes sync.WaitGroup
	for range 8 {
		processes.Go(func() {
			if err := Migrate(t.Context(), url, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	processes.Wait()
	open(t, url, Options{})
	var steps int
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM migrations").Scan(&steps); err != nil || steps != SchemaVersion() {
		t.Errorf("%d migrations are recorded, %v; want %d", steps, err, SchemaVersion())
	}
}

// TestMigrate_UpgradesADatabaseWithCards: a card and the answers under its keys come
// through, and no card is rewritten.
func TestMigrate_UpgradesADatabaseWithCards(t *testing.T) {
	url := newSchema(pgtest.Start(t))
	must.Do(t, Migrate(t.Context(), url, Options{}))
	conn := connect(t, url)
	exec := func(sql string) {
		t.Helper()
		must.Get(conn.Exec(t.Context(), sql))(t)
	}
	exec("DROP TABLE cards, answers, outbox, settled, replays, fingerprints, sealing_key, relay_report; DELETE FROM migrations")
	for _, m := range steps()[:2] {
		exec(string(must.Get(migrations.ReadFile("migrations/" + m.name))(t)))
		exec(fmt.Sprintf("INSERT INTO migrations VALUES (%d, '')", m.version))
	}
	exec(`INSERT INTO cards VALUES (6, 5, 3600, 3, 2, 1, 2, 4, NULL, 1, 0, '201', '101', 'A', 'acme', '\x01', '\x02', '\x03', '\x04', 'none');
		INSERT INTO answers VALUES
			(9000000000000000000, '\x11', 'A', 'plain', '\x21'),
			(9000000000000000000, '\x12', 'A', '"quoted"', '\x22'),
			(9000000000000000000, '\x13', 'A', '"', '\x23'),
			(9000000000000000000, '\x14', 'A', 'both', '\x24'),
			(9000000000000000000, '\x15', 'A', '"both"', '\x25'),
			(9000000000000000000, '\x16', 'B', 'plain', '\x26')`)
	file := func() (name int64) {
		t.Helper()
		must.Do(t, conn.QueryRow(t.Context(), "SELECT pg_relation_filenode('cards')::bigint").Scan(&name))
		return name
	}
	before := file()
	must.Do(t, Migrate(t.Context(), url, Options{}))
	if after := file(); after != before {
		t.Error("the table of cards was rewritten")
	}

	s := open(t, url, Options{})
	at := func(ns int64) time.Time { return time.Unix(0, ns).UTC() }
	must.Equal(t, store.Card{
		ID: "A", Account: "acme", Version: 3, Events: 2, State: []byte{1}, Next: at(5), Interval: 3600, Due: at(6),
		ServiceCode: servicecode.MustParse("201"), Sealed: []byte{2},
		PreviousCode: servicecode.MustParse("101"), PreviousSealed: []byte{3}, PreviousUntil: at(4), Identity: []byte{4},
		Created: at(1), Rotated: at(2), Tries: 1, Failure: "none",
	}, must.Get(s.Card(t.Context(), "A"))(t))
	for _, tt := range []struct{ what, card, key, body string }{
		{"plain", "A", store.HashKey("A", "plain"), "\x21"},
		{"without quotes", "A", store.HashKey("A", "quoted"), "\x22"},
		{"with quotes, passed by a service", "A", store.HashKey("A", `"quoted"`), "\x22"},
		{"a quote alone", "A", store.HashKey("A", `"`), "\x23"},
		{"both spellings", "A", store.HashKey("A", "both"), "\x24"},
		{"another card", "B", store.HashKey("B", "plain"), "\x26"},
		{"looked for by the previous version", "A", "plain", "\x21"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			must.Do(t, s.Update(t.Context(), tt.card, tt.key, func(change *store.Change) error {
				if change.Prior == nil || string(change.Prior.Body) != tt.body {
					t.Errorf("prior %+v, want %q", change.Prior, tt.body)
				}
				return nil
			}))
		})
	}
}

func TestOpen_RefusesOtherSchemaVersions(t *testing.T) {
	url := newSchema(pgtest.Start(t))
	refuses := func(says ...string) {
		t.Helper()
		s, err := Open(t.Context(), url, Options{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, store.ErrSchema) {
			t.Fatalf("got %v", err)
		}
		for _, words := range says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%q does not say %q", err, words)
			}
		}
	}
	refuses("does not exist yet", "run cvvd migrate")
	must.Do(t, Migrate(t.Context(), url, Options{}))
	open(t, url, Options{})

	conn := connect(t, url)
	for _, sql := range []string{"DELETE FROM migrations WHERE version = (SELECT max(version) FROM migrations)", "INSERT INTO migrations VALUES (1000, 'later')"} {
		must.Get(conn.Exec(t.Context(), sql))(t)
		if strings.HasPrefix(sql, "DELETE") {
			refuses(fmt.Sprintf("version %d,", SchemaVersion()-1), fmt.Sprintf("version %d:", SchemaVersion()), "run cvvd migrate")
			continue
		}
		refuses("version 1000", "newer program")
		if err := Migrate(t.Context(), url, Options{}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("Migrate of a newer schema: %v", err)
		}
	}
}
