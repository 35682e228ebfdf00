package postgres

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// Two replicas with two workers each rotate every card of a backlog once.
func TestClaim_ReplicasShareABacklog(t *testing.T) {
	const cards = exact + 500 // more than Stats counts exactly
	url := migrated(t, pgtest.Start(t))
	conn := connect(t, url)
	for _, sql := range []string{dueSQL, "ANALYZE cards"} {
		var args []any
		if sql == dueSQL {
			args = []any{cards}
		}
		must.Get(conn.Exec(t.Context(), sql, args...))(t)
	}
	one, two := open(t, url, Options{}), open(t, url, Options{})
	st, err := one.Stats(t.Context())
	if err != nil || st.Cards < exact || st.Cards > cards*2 || st.Backlog < exact || st.Backlog > cards*2 {
		t.Errorf("Stats %+v, %v; want about %d cards, all of them backlog", st, err, cards)
	}
	var done atomic.Int64
	var workers sync.WaitGroup
	for _, s := range []*Store{one, one, two, two} {
		workers.Go(func() {
			for {
				n, err := s.Claim(t.Context(), 250, rotate)
				if err != nil {
					t.Error(err)
					return
				}
				if n == 0 {
					return
				}
				done.Add(int64(n))
			}
		})
	}
	workers.Wait()
	var once, events, distinct int
	must.Do(t, conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM cards WHERE version = 2 AND events = 2), count(*), count(DISTINCT card) FROM outbox").
		Scan(&once, &events, &distinct))
	if done.Load() != cards || once != cards || events != cards || distinct != cards {
		t.Errorf("%d claims; of %d cards %d rotated once, with %d events of %d cards", done.Load(), cards, once, events, distinct)
	}
}

// The cursor skips a card for up to a second of a lasting backlog, and for no longer
// than the backlog lasts.
func TestClaimCursor_FindsCardsThatBecomeDueBelowIt(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	timer := clock.NewMock()
	s.timer = timer
	past := time.Now().Add(-time.Hour)
	for i, id := range strings.Fields("a b c d e f g h") {
		putDue(t, other, id, past.Add(time.Duration(i)*time.Second))
	}
	want := func(id string) {
		t.Helper()
		if got := claim(t, s, 1); len(got) != 1 || got[0] != id {
			t.Fatalf("claimed %v, want %s", got, id)
		}
	}
	want("a")
	want("b")
	putDue(t, s, "own", past.Add(-time.Minute))
	want("own")
	want("c")
	putDue(t, other, "other", past.Add(-time.Minute))
	want("d")
	timer.Add(rescanEvery)
	want("other")
	want("e")
	putDue(t, other, "last", past.Add(-time.Minute))
	if got := strings.Join(claim(t, s, 10), " "); got != "f g h" {
		t.Fatalf("claimed %s", got)
	}
	want("last")
	putDue(t, other, "very last", past.Add(-2*time.Minute))
	want("very last")
	if got := claim(t, s, 10); got != nil {
		t.Fatalf("claimed %v, want nothing", got)
	}
}

// The next claim finds cards again that a claim did not change: without a write,
// after an error of fn, and after a rollback.
func TestClaimCursor_GoesBackToUnchangedCards(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	s.timer = clock.NewMock()
	past := time.Now().Add(-time.Hour)
	for i, id := range strings.Fields("a b c d") {
		putDue(t, s, id, past.Add(time.Duration(i)*time.Second))
	}
	first := ""
	look := func(change *store.Change) error { first = change.Card.ID; return nil }
	for range 2 {
		if _, err := s.Claim(t.Context(), 1, look); err != nil || first != "a" {
			t.Fatalf("%s, %v: want a", first, err)
		}
	}
	must.Get(s.Claim(t.Context(), 1, func(*store.Change) error { return context.Canceled }))(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Claim(ctx, 1, func(change *store.Change) error { cancel(); return rotate(change) }); err == nil {
		t.Fatal("a claim with a canceled context succeeded")
	}
	for _, want := range strings.Fields("a b c d") {
		if got := claim(t, s, 1); len(got) != 1 || got[0] != want {
			t.Fatalf("claimed %v, want %s", got, want)
		}
	}
}

func TestClaim_SkipsLockedCards(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	putDue(t, s, "held", time.Now().Add(-2*time.Hour))
	putDue(t, s, "free", time.Now().Add(-time.Hour))
	must.Do(t, s.Update(t.Context(), "held", "", func(*store.Change) error {
		if got := claim(t, s, 2); len(got) != 1 || got[0] != "free" {
			t.Errorf("claimed %v, want the free one", got)
		}
		return nil
	}))
	if got := claim(t, s, 1); len(got) != 1 || got[0] != "held" {
		t.Errorf("claimed %v, want the one that was held", got)
	}
}

func TestClaim_LeavesConnectionsToUpdates(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{Connections: 1, BackgroundConnections: 1})
	putDue(t, s, "claimed", time.Now().Add(-time.Hour))
	putDue(t, s, "updated", time.Now().Add(time.Hour))
	holds, updated := make(chan struct{}), make(chan struct{})
	var claims sync.WaitGroup
	for range 3 { // two of them wait for a connection
		claims.Go(func() {
			first := true
			if _, err := s.Claim(t.Context(), 1, func(change *store.Change) error {
				if first && change.Card.Version == 1 {
					first = false
					close(holds)
					<-updated
				}
				return rotate(change)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	<-holds
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must.Do(t, s.Update(ctx, "updated", "", rotate))
	must.Get(s.Card(ctx, "updated"))(t)
	close(updated)
	claims.Wait()
}
