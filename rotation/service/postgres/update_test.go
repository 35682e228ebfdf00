package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// An update whose connection is cut while it waits for the lock has changed nothing,
// and is repeated.
func TestUpdate_CutWhileWaitingForLockIsRetried(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	putDue(t, s, "card", time.Now())
	killer := connect(t, url)
	done := make(chan error)
	must.Do(t, other.Update(t.Context(), "card", "", func(*store.Change) error {
		go func() { done <- s.Update(context.Background(), "card", "", rotate) }()
		waitFor(t, url, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		_, err := killer.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		return err
	}))
	must.Do(t, <-done)
	checkConsistent(t, url)
}

// The whole transaction is rolled back if a row is not where it was locked.
func TestCommit_MissingRowRollsBack(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	putDue(t, s, "card", time.Now())
	conn := must.Get(s.foreground.Acquire(t.Context()))(t)
	defer func() { release(t.Context(), conn) }()
	must.Get(conn.Exec(t.Context(), "BEGIN"))(t)
	l := &lockedRow{exists: true, tid: [6]byte{0, 0, 9, 9, 0, 1}}
	l.change.Card.ID, l.change.Card.Version, l.change.Write = "card", 7, true
	l.change.Event = &store.Event{Card: "card", Number: 1, At: time.Now()}
	if err := s.commit(t.Context(), conn, []*lockedRow{l}, "card", ""); err == nil {
		t.Error("it was committed")
	}
	rollback(t.Context(), conn)
	checkConsistent(t, url)
}

// Ids that the database cannot store are refused, not cleaned: two of them could
// become the same.
func TestUpdate_RefusesIDsThatAreNotText(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	for _, id := range []string{"a\xff", "a\x00"} {
		if err := s.Update(t.Context(), id, "", func(change *store.Change) error {
			change.Card.Version, change.Write = 1, true
			return nil
		}); err == nil {
			t.Errorf("%q was stored", id)
		}
	}
	putDue(t, s, "a", time.Now())
}

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
				done <- other.Update(t.Context(), "card", "", func(change *store.Change) error {
					if freed := <-free; change.Now.Before(freed) {
						t.Errorf("Now is %v before the lock was free", freed.Sub(change.Now))
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
			must.Do(t, <-done)
			free <- freed
			must.Do(t, <-done)
		})
	}

	// Store.Now is the database's time, too.
	now, err := s.Now(t.Context())
	if err != nil || now.Before(freed) || now.After(clock()) {
		t.Errorf("Now %v, %v; want the database's, %v", now, err, freed)
	}
}
