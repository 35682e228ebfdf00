package postgres

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

func TestLease_LostWithItsConnection(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	if _, err := other.AcquireLease(t.Context()); !errors.Is(err, store.ErrLeaseHeld) {
		t.Fatalf("a second relay: %v", err)
	}
	must.Get(connect(t, url).Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'cvvd relay' AND datname = current_database()"))(t)
	select {
	case <-lease.Lost():
	case <-time.After(leaseCheck - time.Second): // before the next ping
		t.Fatal("the lease is not lost")
	}
	next := must.Get(other.AcquireLease(t.Context()))(t)
	lease.Release() // has no effect on the other lease
	if _, err := s.AcquireLease(t.Context()); !errors.Is(err, store.ErrLeaseHeld) {
		t.Errorf("the other's lease is gone: %v", err)
	}
	next.Release()
	<-next.Lost()
}

func TestLease_OneForEachSchema(t *testing.T) {
	database := pgtest.Start(t)
	for range 2 {
		lease := must.Get(open(t, migrated(t, database), Options{}).AcquireLease(t.Context()))(t)
		t.Cleanup(lease.Release)
	}
}
