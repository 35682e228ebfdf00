package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const (
	selectWaiting = `SELECT ` + eventColumns + ` FROM event WHERE status = 0 ORDER BY position`
	selectEvents  = `SELECT ` + eventColumns + ` FROM event WHERE position > ? ORDER BY position LIMIT ?`

	// selectCardEvents finds settled events by event_card, and scans those that wait.
	selectCardEvents = `SELECT * FROM (SELECT ` + eventColumns + ` FROM event
			WHERE card = ?1 AND number < ?2 AND status <> 0 ORDER BY number DESC LIMIT ?3)
		UNION ALL
		SELECT ` + eventColumns + ` FROM event WHERE card = ?1 AND number < ?2 AND status = 0
		ORDER BY number DESC LIMIT ?3`
)

// ListWaiting implements store.Outbox. It also reads the events that it leaves
// out.
func (s *Store) ListWaiting(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	out := make(map[string]bool, len(except))
	for _, card := range except {
		out[card] = true
	}
	err = s.read(ctx, func(r *row) error {
		if len(events) >= limit {
			return errEnough
		}
		if q := scanEvent(r); !out[q.Card] {
			events = append(events, q)
		}
		return nil
	}, selectWaiting)
	return events, err
}

// ListEvents implements store.Operator.
func (s *Store) ListEvents(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	err = s.read(ctx, func(r *row) error {
		events = append(events, scanEvent(r))
		return nil
	}, selectEvents, after, rows(limit))
	return events, err
}

// ListCardEvents implements store.Cards.
func (s *Store) ListCardEvents(ctx context.Context, card string, before int64, limit int) (events []store.Queued, err error) {
	err = s.read(ctx, func(r *row) error {
		events = append(events, scanEvent(r))
		return nil
	}, selectCardEvents, card, before, rows(limit))
	return events, err
}
