package postgres

import (
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// floor is the position from which a relay looks for events that wait, since
// delivered ones leave dead entries at the beginning of the index, as rotations
// do in the index on Due (see cursor).
//
// A floor at "the last position seen" would lose events: a transaction that
// took a position early may commit late. So the floor never passes a position
// that a running transaction may hold. Each look notes the last position that
// was given out, and then a transaction's number of its own. Writers have locked a
// card, and so have a number, before they take a position; so when all
// transactions before the noted one have ended, all positions up to the noted
// one can be seen, or never will be. A number of its own it must be: that after
// the newest transaction to have ended (pg_snapshot_xmax) may run already, and
// hold a position.
type floor struct {
	mu      sync.Mutex
	low     int64 // nothing waits below it
	replays int64
	sweep   time.Time // when to look from the beginning, for good measure
	noted   struct{ position, transaction int64 }
}

// floorSweep is how often the relay looks from the beginning all the same.
const floorSweep = time.Minute

// sight is what one look at the outbox saw beside the events.
type sight struct {
	replays      int64
	given        int64 // the last position that was given out
	oldest, next int64 // the oldest transaction that runs, the number after all that could write before
	waiting      int64 // the first position that waits, of any card
}

// queue queues the statements that take the sight, in the order that counts.
func (s *sight) queue(b *pgx.Batch, from int64) {
	b.Queue("SELECT n, CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM replays, outbox_position").
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.replays, &s.given) })
	b.Queue("SELECT pg_snapshot_xmin(s)::text::bigint, pg_current_xact_id()::text::bigint FROM pg_current_snapshot() AS s").
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.oldest, &s.next) })
	b.Queue("SELECT coalesce((SELECT position FROM outbox WHERE position >= $1 ORDER BY position LIMIT 1), $2)", from, int64(math.MaxInt64)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.waiting) })
}

// from returns where to look from.
func (f *floor) from(now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !now.Before(f.sweep) {
		f.low, f.sweep = 0, now.Add(floorSweep)
	}
	return f.low
}

// saw moves the floor. It returns false if the look began too high, and has to
// be taken again: events were brought back, or the database is another one, from
// a backup or a standby.
func (f *floor) saw(s sight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (s.replays != f.replays || s.given < f.noted.position) && f.low > 0 {
		f.low, f.noted.position, f.noted.transaction = 0, 0, 0
		f.replays = s.replays
		return false
	}
	f.replays = s.replays
	if f.noted.transaction == 0 {
		f.noted.position, f.noted.transaction = s.given, s.next
	} else if s.oldest >= f.noted.transaction {
		f.low = max(f.low, min(s.waiting, f.noted.position+1))
		f.noted.position, f.noted.transaction = s.given, s.next
	}
	return true
}
