package postgres

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
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
			refuses("version 1", "version 2", "run cvvd migrate")
			continue
		}
		refuses("version 1000", "newer program")
		if err := Migrate(t.Context(), url, Options{}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("Migrate of a newer schema: %v", err)
		}
	}
}
