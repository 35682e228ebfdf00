package postgres

import (
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// lowWaterMark is the position at which a scan of the waiting events starts.
// Delivered events leave dead entries at the beginning of the index, as rotations
// do in the index on due (see claimCursor).
//
// A mark at "the last position seen" would lose events, because a transaction that
// took a position early may commit late. So the mark never passes a position that
// a running transaction may hold. Each scan notes the last position assigned, and
// then assigns itself a transaction id. A writer locks a card, and so has a
// transaction id, before it takes a position. So once all transactions older than
// the noted id have ended, every position up to the noted one is visible or will
// never be used.
//
// The noted id must be the scan's own. The id after the newest finished
// transaction (pg_snapshot_xmax) may belong to a running one, which may hold a
// position.
type lowWaterMark struct {
	mu       sync.Mutex
	position int64 // no event waits below it
	requeues int64
	rescan   time.Time // when to scan from position 0 again, as a safeguard
	noted    struct{ position, transaction int64 }
}

// rescanOutbox is the time between two scans from position 0.
const rescanOutbox = time.Minute

// outboxScan is what one scan of the outbox reads beside the events.
type outboxScan struct {
	requeues     int64 // how often events were requeued
	assigned     int64 // the last position assigned
	oldest, next int64 // ids of the oldest running transaction, and of this one
	waiting      int64 // the first position that waits, of any card
}

// queue queues the scan's statements. Their order matters; see lowWaterMark.
func (s *outboxScan) queue(b *pgx.Batch, from int64) {
	b.Queue("SELECT n, CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM replays, outbox_position").
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.requeues, &s.assigned) })
	b.Queue("SELECT pg_snapshot_xmin(s)::text::bigint, pg_current_xact_id()::text::bigint FROM pg_current_snapshot() AS s").
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.oldest, &s.next) })
	b.Queue("SELECT coalesce((SELECT position FROM outbox WHERE position >= $1 ORDER BY position LIMIT 1), $2)", from, int64(math.MaxInt64)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.waiting) })
}

// start returns the position at which the next scan starts.
func (m *lowWaterMark) start(now time.Time) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !now.Before(m.rescan) {
		m.position, m.rescan = 0, now.Add(rescanOutbox)
	}
	return m.position
}

// advance moves the mark after a scan. It returns false if the scan started too
// high and must be repeated: events were requeued, or the database was replaced by
// a backup or a standby.
func (m *lowWaterMark) advance(s outboxScan) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := s.requeues != m.requeues || s.assigned < m.noted.position
	m.requeues = s.requeues
	if changed && m.position > 0 {
		m.position, m.noted.position, m.noted.transaction = 0, 0, 0
		return false
	}
	if s.oldest < m.noted.transaction {
		return true // a transaction that may hold a position up to the noted one still runs
	}
	if m.noted.transaction > 0 {
		m.position = max(m.position, min(s.waiting, m.noted.position+1))
	}
	m.noted.position, m.noted.transaction = s.assigned, s.next
	return true
}
