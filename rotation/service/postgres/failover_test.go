package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// recovery is how soon calls must succeed once a primary can be reached, and patience
// how long a busy machine may take for everything else.
const (
	recovery = 5 * time.Second
	patience = 30 * time.Second
)

// replicated starts a primary and its synchronous standby with an empty database.
func replicated(t *testing.T) (primary, standby *pgtest.Server, database string) {
	t.Helper()
	settings := []string{"fsync=off", "cvvd.fsync=off"} // servers crash here, the machine does not
	primary = pgtest.New(t, settings...)
	database = primary.NewDatabase(t)
	standby = primary.Standby(t, settings...)
	primary.Synchronous(t)
	return primary, standby, database
}

// ledger records from outside what a store has acknowledged.
type ledger struct {
	mu       sync.Mutex
	rotated  map[string]int64 // acknowledged rotations of each card
	unclear  map[string]int64 // rotations whose outcome is unknown
	failures map[string]int   // errors that callers may see only during the outage
	stop     func()
}

const ledgerCards = 8

// record rotates cards until stop is called.
func record(t *testing.T, s *Store) *ledger {
	t.Helper()
	l := &ledger{rotated: map[string]int64{}, unclear: map[string]int64{}, failures: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for worker := range ledgerCards {
		card := fmt.Sprint("card", worker)
		putDue(t, s, card, time.Now().Add(time.Hour))
		workers.Go(func() {
			for ctx.Err() == nil {
				call, done := context.WithTimeout(ctx, patience)
				err := s.Update(call, card, "", rotate)
				done()
				l.add(card, err)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		cancel()
		workers.Wait()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *ledger) add(card string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost *unknownOutcome
	switch {
	case err == nil:
		l.rotated[card]++
	case errors.As(err, &lost):
		l.unclear[card]++
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.Canceled):
	default:
		l.failures[err.Error()]++
	}
}

// total returns the number of acknowledged rotations.
func (l *ledger) total() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, rotations := range l.rotated {
		n += rotations
	}
	return n
}

// check ends the recording and compares it with the database.
func (l *ledger) check(t *testing.T, url string) {
	t.Helper()
	l.stop()
	for err, n := range l.failures {
		t.Errorf("%d calls failed with an error that is not temporary: %s", n, err)
	}
	conn := connect(t, url)
	for card, acknowledged := range l.rotated {
		var rotations int64
		must.Do(t, conn.QueryRow(t.Context(), "SELECT version - 1 FROM cards WHERE id = $1", card).Scan(&rotations))
		if rotations < acknowledged || rotations > acknowledged+l.unclear[card] {
			t.Errorf("%s: %d rotations stored, %d acknowledged, %d unknown", card, rotations, acknowledged, l.unclear[card])
		}
	}
	checkConsistent(t, url)
}

// soon calls f until it succeeds and fails the test if that takes longer than limit.
func soon(t *testing.T, what string, limit time.Duration, f func(context.Context) error) {
	t.Helper()
	began := time.Now()
	var err error
	for time.Since(began) < patience {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err = f(ctx)
		cancel()
		if err == nil {
			if took := time.Since(began); took > limit {
				t.Errorf("%s succeeded after %v, want %v", what, took, limit)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never succeeds: %v", what, err)
}

// works reports an error unless all kinds of calls succeed soon.
func works(t *testing.T, s *Store) {
	t.Helper()
	soon(t, "Update", recovery, func(ctx context.Context) error { return s.Update(ctx, "card0", "", touch) })
	soon(t, "Claim", recovery, func(ctx context.Context) error { _, err := s.Claim(ctx, 10, rotate); return err })
	soon(t, "Card", recovery, func(ctx context.Context) error { _, err := s.Card(ctx, "card0"); return err })
	soon(t, "ListWaiting", recovery, func(ctx context.Context) error { _, err := s.ListWaiting(ctx, 1, nil); return err })
	soon(t, "Now", recovery, func(ctx context.Context) error { _, err := s.Now(ctx); return err })
	soon(t, "AcquireLease", recovery, func(ctx context.Context) error {
		lease, err := s.AcquireLease(ctx)
		if err == nil {
			lease.Release()
		}
		return err
	})
}

// touch writes a card as it is.
func touch(change *store.Change) error {
	change.Write = true
	return nil
}

// refuses reports an error unless every kind of call soon fails because the server accepts
// no writes, also those that only read.
func refuses(t *testing.T, s *Store) {
	t.Helper()
	for _, call := range []struct {
		name string
		f    func(context.Context) error
	}{
		{"Card", func(ctx context.Context) error { _, err := s.Card(ctx, "card0"); return err }}, // first: a write would replace the connections
		{"Update", func(ctx context.Context) error { return s.Update(ctx, "card0", "", touch) }},
		{"Claim", func(ctx context.Context) error { _, err := s.Claim(ctx, 10, rotate); return err }},
		{"Card of none", func(ctx context.Context) error { _, err := s.Card(ctx, "none"); return err }},
		{"ListWaiting", func(ctx context.Context) error { _, err := s.ListWaiting(ctx, 1, nil); return err }},
		{"NextDue", func(ctx context.Context) error { _, _, err := s.NextDue(ctx); return err }},
		{"Now", func(ctx context.Context) error { _, err := s.Now(ctx); return err }},
		{"AcquireLease", func(ctx context.Context) error { _, err := s.AcquireLease(ctx); return err }},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := call.f(ctx); !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s on a server that accepts no writes: %v", call.name, err)
		}
		cancel()
	}
}

// The primary crashes, its standby is promoted, and the former primary is back as a
// standby before the address moves.
func TestFailover_FormerPrimaryReturnsAsStandby(t *testing.T) {
	a, b, database := replicated(t)
	proxy := pgtest.NewProxy(t, a)
	url := migrated(t, proxy.URL(t, database))
	s := open(t, url, Options{})
	acknowledged := record(t, s)
	soon(t, "the first rotations", patience, func(context.Context) error {
		if acknowledged.total() < 50 {
			return errors.New("too few")
		}
		return nil
	})
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	a.Stop(t)
	<-lease.Lost()
	b.Promote(t)
	a.Follow(t, b)
	refuses(t, s)

	proxy.Move(b)
	before := acknowledged.total()
	works(t, s)
	soon(t, "a rotation", recovery, func(context.Context) error {
		if acknowledged.total() == before {
			return errors.New("none")
		}
		return nil
	})
	acknowledged.check(t, url)
}

// The primary stays up and becomes read-only, as a provider does that has run out of
// storage, and its standby is promoted. Connections to it stay open.
func TestFailover_FormerPrimaryStaysUpReadOnly(t *testing.T) {
	a, b, database := replicated(t)
	proxy := pgtest.NewProxy(t, a)
	url := migrated(t, proxy.URL(t, database))
	s := open(t, url, Options{})
	acknowledged := record(t, s)
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	must.Get(s.ListWaiting(t.Context(), 1, nil))(t)
	a.Set(t, "default_transaction_read_only", "on")
	refuses(t, s)
	select {
	case <-lease.Lost():
	case <-time.After(leaseCheck / 2): // before the next ping
		t.Error("the lease of the former primary is still held")
	}

	b.Promote(t)
	proxy.Move(b)
	works(t, s)
	former := pgtest.HostsURL(t, database, a)
	waitFor(t, former, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'cvvd%')")
	acknowledged.check(t, url)
}

// A server that is read-only for a while, and becomes writable again, is used again.
func TestReadOnly_EndsByItself(t *testing.T) {
	server := pgtest.New(t, "fsync=off", "cvvd.fsync=off")
	s := open(t, migrated(t, server.Database(t)), Options{})
	putDue(t, s, "card0", time.Now().Add(time.Hour))
	server.Set(t, "default_transaction_read_only", "on")
	refuses(t, s)
	server.Set(t, "default_transaction_read_only", "off")
	works(t, s)
}

func TestOpen_RefusesAStandby(t *testing.T) {
	a, b, database := replicated(t)
	url := migrated(t, pgtest.HostsURL(t, database, a, b))
	url = strings.ReplaceAll(url, pgtest.HostsURL(t, database, a, b), pgtest.HostsURL(t, database, b))
	for _, options := range []string{"", "&target_session_attrs=any", "&target_session_attrs=standby", "&target_session_attrs=prefer-standby"} {
		if s, err := Open(t.Context(), url+options, Options{}); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("Open with %q on a standby: %v", options, err)
			if err == nil {
				s.Close()
			}
		}
	}
	if err := Migrate(t.Context(), url, Options{}); err == nil {
		t.Error("Migrate on a standby succeeded")
	}
	b.Promote(t)
	works(t, openWithCard(t, url))
}

func openWithCard(t *testing.T, url string) *Store {
	t.Helper()
	s := open(t, url, Options{})
	putDue(t, s, "card0", time.Now().Add(time.Hour))
	return s
}

// With several hosts, the store finds the primary whichever it is.
func TestFailover_SeveralHosts(t *testing.T) {
	a, b, database := replicated(t)
	for _, options := range []string{"", "&target_session_attrs=read-write"} {
		url := migrated(t, pgtest.HostsURL(t, database, a, b)+options)
		s := open(t, url, Options{})
		acknowledged := record(t, s)
		works(t, s)
		a.Stop(t)
		b.Promote(t)
		works(t, s) // a is down
		a.Follow(t, b)
		works(t, s) // a is a standby
		acknowledged.check(t, url)
		must.Do(t, s.Close())
		a, b = b, a
		a.Synchronous(t)
	}
}

// The former primary is paused behind a proxy: its connections stay open without
// an answer. Calls in flight end, and no other one waits for such a connection.
func TestFailover_FormerPrimaryIsSilent(t *testing.T) {
	server := pgtest.New(t, "fsync=off", "cvvd.fsync=off")
	proxy := pgtest.NewProxy(t, server)
	s := openWithCard(t, migrated(t, proxy.URL(t, server.Database(t))))
	s.timeout = 2 * time.Second
	var busy sync.WaitGroup // all connections are open
	for range 12 {
		busy.Go(func() {
			s.Stats(t.Context())
			s.Now(t.Context())
		})
	}
	busy.Wait()
	proxy.Silence()
	for _, call := range []struct {
		name string
		f    func() error
	}{
		{"Claim", func() error { _, err := s.Claim(context.Background(), 10, rotate); return err }},
		{"Update", func() error { return s.Update(context.Background(), "card0", "", touch) }},
	} {
		began := time.Now()
		if err := call.f(); err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s on a silent connection: %v", call.name, err)
		}
		if took := time.Since(began); took > s.timeout+recovery {
			t.Errorf("%s on a silent connection took %v", call.name, took)
		}
	}
	works(t, s)
}

// With several hosts, one that does not answer costs a new connection 3 seconds.
func TestOpen_PassesASilentHost(t *testing.T) {
	silent := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t) // accepts connections, and never answers
	defer silent.Close()
	server := pgtest.New(t, "fsync=off", "cvvd.fsync=off")
	database := migrated(t, server.Database(t))
	host, port, err := net.SplitHostPort(silent.Addr().String())
	must.Do(t, err)
	u := must.Get(url.Parse(database))(t)
	query := u.Query()
	query.Set("host", host+","+query.Get("host"))
	query.Set("port", port+",5432")
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	soon(t, "Open", recovery, func(ctx context.Context) error {
		s, err := Open(ctx, u.String(), Options{})
		if err == nil {
			s.Close()
		}
		return err
	})
}
