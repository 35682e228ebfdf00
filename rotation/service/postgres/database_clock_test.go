package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
)

// Change.Now is the database's time, read after the lock was acquired: an update that
// waited for another one never has an earlier instant.
func TestUpdate_ReadsClockUnderTheLock(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	putDue(t, s, "card", time.Now())
	conn := connect(t, url)
	clock := func() (now time.Time) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now); err != nil {
			t.Error(err)
		}
		return now
	}
	var freed time.Time
	pool := must.Get(pgxpool.New(t.Context(), url))(t)
	defer pool.Close()
	for name, other := range map[string]store.Updater{"Update": other, "InTx": inOwnTx{Store: other, pool: pool}} {
		t.Run(name, func(t *testing.T) {
			holds, free, done := make(chan struct{}), make(chan time.Time), make(chan error)
			go func() {
				done <- s.Update(t.Context(), "card", "", func(*store.Change) error {
					close(holds)
					<-free
					return nil
				})
			}()
			<-holds
			before := clock()
			go func() {
				done <- other.Update(t.Context(), "card", "", func(tx *store.Change) error {
					if freed := <-free; tx.Now.Before(freed) {
						t.Errorf("Now is %v before the lock was free", freed.Sub(tx.Now))
					}
					return nil
				})
			}()
			waitFor(t, url, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
			freed = clock()
			if !freed.After(before) {
				t.Fatal("the clock of the test did not advance")
			}
			free <- freed
			if err := <-done; err != nil {
				t.Error(err)
			}
			free <- freed
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}

	// Store.Now is the database's time, too.
	now, err := s.Now(t.Context())
	if err != nil || now.Before(freed) || now.After(clock()) {
		t.Errorf("Now %v, %v; want the database's, %v", now, err, freed)
	}
}
