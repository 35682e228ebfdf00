package postgres

import (
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// An event of the newest transaction, which commits after several scans, is found.
func TestLowWaterMark_StaysBelowNewestRunningTransaction(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	late := must.Get(connect(t, url).Begin(t.Context()))(t)
	must.Get(late.Exec(t.Context(), "INSERT INTO outbox (card, number, at, payload) VALUES ('late', 1, 0, '{}')"))(t)
	for range 3 {
		deliver(t, s, "")
	}
	must.Do(t, late.Commit(t.Context()))
	deliver(t, s, "late")
}

// An event whose transaction took its position early and commits late is delivered,
// however many later events were delivered meanwhile.
func TestLowWaterMark_LateCommitIsDelivered(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	s.timer = clock.NewMock() // no scan from position 0
	writeEvent(t, s, "first")
	deliver(t, s, "first")

	late := must.Get(connect(t, url).Begin(t.Context()))(t)
	must.Get(late.Exec(t.Context(), "INSERT INTO outbox (card, number, at, payload) VALUES ('late', 1, 1, '')"))(t)
	for range 5 {
		writeEvent(t, s, "early")
		deliver(t, s, "early")
	}
	must.Do(t, late.Commit(t.Context()))
	writeEvent(t, s, "early")
	deliver(t, s, "late early")
	deliver(t, s, "")
}

// Scans skip delivered events, but find those that another process requeues.
func TestLowWaterMark_RisesAndFollowsRequeuedEvents(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	s.timer = clock.NewMock()
	for range 5 {
		writeEvent(t, s, "card")
		deliver(t, s, "card")
	}
	deliver(t, s, "")
	if start := s.outboxMark.start(s.timer.Now()); start != 6 {
		t.Errorf("the low-water mark is %d after 5 deliveries, want 6", start)
	}
	if n, err := other.Requeue(t.Context(), 2, 3); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	deliver(t, s, "card card")
	deliver(t, s, "")

	// An event that waits holds the mark, even if the relay excludes its card.
	writeEvent(t, s, "stuck")
	writeEvent(t, s, "card")
	for range 3 {
		must.Get(s.ListWaiting(t.Context(), 10, []string{"stuck"}))(t)
	}
	deliver(t, s, "stuck card")

	// A database restored from a backup assigns its positions again.
	must.Get(connect(t, url).Exec(t.Context(), "TRUNCATE outbox, settled RESTART IDENTITY"))(t)
	writeEvent(t, s, "restored")
	deliver(t, s, "restored")
}

func TestPrune_DeletesDeliveredEventsUpToLimit(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	for range 5 {
		writeEvent(t, s, "card")
	}
	deliver(t, s, "card card card card card")
	now := must.Get(s.Now(t.Context()))(t)
	for _, want := range []int{3, 2, 0} {
		if n, err := s.DeleteExpired(t.Context(), now.Add(time.Second), 3); err != nil || n != want {
			t.Errorf("pruned %d, %v; want %d", n, err, want)
		}
	}
}
