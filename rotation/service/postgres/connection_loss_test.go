package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// proxy forwards between a store and the server. While drop is set, it closes the
// connection instead of forwarding the server's next response.
type proxy struct {
	dir  string
	drop atomic.Bool
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	dir := must.Get(os.MkdirTemp("", "pgproxy"))(t) // short, as a socket's path must be
	p := &proxy{dir: dir}
	l := must.Get(net.Listen("unix", dir+"/.s.PGSQL.5432"))(t)
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("unix", server+"/.s.PGSQL.5432")
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				defer upstream.Close()
				io.Copy(upstream, client)
			}()
			go func() {
				defer client.Close()
				for b := make([]byte, 64<<10); ; {
					n, err := upstream.Read(b)
					if err != nil || p.drop.Load() {
						return
					}
					client.Write(b[:n])
				}
			}()
		}
	}()
	return p
}

// While connections are cut, calls that return nil are committed, calls that fail are
// not (unless the outcome is unknown), and no card is half changed.
func TestConnectionsCut_NothingLostOrHalfDone(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	const cards = 20
	for i := range cards {
		putDue(t, s, fmt.Sprint("card", i), time.Now().Add(-time.Hour))
	}
	var answered, unclear atomic.Int64
	note := func(n int, err error) {
		var lost *unknownOutcome
		switch {
		case err == nil:
			answered.Add(int64(n))
		case errors.As(err, &lost):
			unclear.Add(int64(n))
		}
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				calls := 0
				if worker == 0 {
					_, err := s.Claim(t.Context(), 5, func(change *store.Change) error {
						calls++
						due := change.Card.Due
						defer func() { change.Card.Due = due }() // it stays due
						return rotate(change)
					})
					note(calls, err)
				} else {
					note(1, s.Update(t.Context(), fmt.Sprint("card", (worker*7+i)%cards), "", rotate))
				}
			}
		})
	}
	killer := connect(t, url)
	for range 30 {
		must.Get(killer.Exec(t.Context(), "SELECT pg_terminate_backend(pid), pg_sleep(0.01) FROM pg_stat_activity WHERE application_name = 'cvvd' AND datname = current_database()"))(t)
	}
	close(stop)
	workers.Wait()
	checkConsistent(t, url)
	var rotations int64
	must.Do(t, killer.QueryRow(t.Context(), "SELECT sum(version - 1) FROM cards").Scan(&rotations))
	if a, u := answered.Load(), unclear.Load(); a == 0 || rotations < a || rotations > a+u {
		t.Errorf("%d rotations; %d were confirmed, %d have an unknown outcome", rotations, a, u)
	}
	if err := s.Update(t.Context(), "card0", "", rotate); err != nil {
		t.Errorf("update after the cuts: %v", err)
	}
}

// An update whose commit is not confirmed may be committed, so it is not repeated.
func TestUpdate_LostCommitResponseIsNotRetried(t *testing.T) {
	direct := migrated(t, pgtest.Start(t))
	u := must.Get(url.Parse(direct))(t)
	query := u.Query()
	p := startProxy(t, query.Get("host"))
	query.Set("host", p.dir)
	u.RawQuery = query.Encode()
	s := open(t, u.String(), Options{Connections: 1})
	putDue(t, s, "card", time.Now())
	for range 3 { // prepare the statements
		must.Do(t, s.Update(t.Context(), "card", "", rotate))
	}
	calls := 0
	err := s.Update(t.Context(), "card", "", func(change *store.Change) error {
		calls++
		p.drop.Store(true)
		return rotate(change)
	})
	p.drop.Store(false)
	var lost *unknownOutcome
	if !errors.As(err, &lost) || calls != 1 {
		t.Errorf("%v, after %d calls", err, calls)
	}
	if c, err := s.Card(t.Context(), "card"); err != nil || c.Version != 5 {
		t.Errorf("version %d, %v; want 5, because the server committed", c.Version, err)
	}
	checkConsistent(t, direct)
}

// A crash of the server fails calls and the lease; the store works again afterwards.
func TestServerCrash_StoreRecovers(t *testing.T) {
	server := pgtest.New(t)
	url := migrated(t, server.Database(t))
	s := open(t, url, Options{})
	putDue(t, s, "card", time.Now().Add(-time.Hour))
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	if err := s.Update(t.Context(), "card", "", func(change *store.Change) error {
		if change.Card.Version == 1 {
			server.Stop(t)
		}
		return rotate(change)
	}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an update without a server: %v", err)
	}
	<-lease.Lost()
	if _, err := s.Claim(t.Context(), 1, rotate); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a claim without a server: %v", err)
	}
	if _, err := s.Stats(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Stats without a server: %v", err)
	}
	if _, err := s.AcquireLease(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.HasPrefix(err.Error(), "postgres: acquire lease: ") {
		t.Errorf("AcquireLease without a server: %v", err)
	}
	server.Start(t)
	if c, err := s.Card(t.Context(), "card"); err != nil || c.Version != 1 {
		t.Fatalf("after the crash: version %d, %v; want 1", c.Version, err)
	}
	must.Do(t, s.Update(t.Context(), "card", "", rotate))
	if lease, err := s.AcquireLease(t.Context()); err != nil {
		t.Error(err)
	} else {
		lease.Release()
	}
	checkConsistent(t, url)
}

func TestClose_EndsAllGoroutines(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	before := goleak.IgnoreCurrent()
	s := must.Get(Open(t.Context(), url, Options{}))(t)
	putDue(t, s, "card", time.Now())
	lease := must.Get(s.AcquireLease(context.Background()))(t)
	must.Do(t, s.Close())
	<-lease.Lost()
	goleak.VerifyNone(t, before)
}

// An error of the server means that nothing was committed, in whatever language; a
// server that stops during a commit makes the outcome unknown.
func TestCommitError_IsRetryableOnlyIfNothingWasCommitted(t *testing.T) {
	for _, test := range []struct {
		err       pgconn.PgError
		retryable bool
	}{
		{pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23505"}, true},
		{pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "40001"}, true},
		{pgconn.PgError{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
	} {
		t.Run(test.err.Severity, func(t *testing.T) {
			if err := commitError(&test.err); retryable(err) != test.retryable {
				t.Errorf("%v is retryable: %t", err, !test.retryable)
			}
		})
	}
}
