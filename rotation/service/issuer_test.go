package service_test

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"cvvrotation/rotation"
)

// issuer is a small service of the kind that docs/embedding.md describes: cards and an
// outbox in SQL, a call that rotates at once, and a poller.
type issuer struct {
	db    *sql.DB
	now   func() time.Time
	tell  func(card string) // answers, or gives the new CVV to another system
	fault fault
}

// fault is a mistake of an issuer; the zero value is none.
type fault string

const (
	inclusiveGuard      fault = "inclusive guard"
	roundedSlot         fault = "slot rounded to a second"
	unslottedPollers    fault = "AutoUnslotted with two pollers"
	rotateBeforePersist fault = "rotate before persist"
	eventOutside        fault = "event outside the transaction"
)

// The version stands for the CVV. next_at has whole seconds.
const issuerSchema = `
CREATE TABLE cards (id TEXT PRIMARY KEY, state TEXT, next_at INTEGER, version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE outbox (card TEXT NOT NULL, version INTEGER NOT NULL)`

// due reports whether the poller's query finds the card.
func (s *issuer) due(ctx context.Context, card string) (found bool, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM cards WHERE id = ? AND next_at <= ?)", card, s.now().Unix()).Scan(&found)
	return found, err
}

var errNothingDue = errors.New("the card is not due")

// rotateDue rotates a card that the poller has found.
func (s *issuer) rotateDue(ctx context.Context, card string) (rotation.Decision, rotation.State, error) {
	return s.apply(ctx, card, func(state rotation.State) (rotation.Event, bool) { return state.Due(s.now()) })
}

// apply locks the card, asks for the event, and applies it.
func (s *issuer) apply(ctx context.Context, card string, event func(rotation.State) (rotation.Event, bool)) (d rotation.Decision, state rotation.State, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return d, state, err
	}
	defer tx.Rollback()
	var nextAt sql.NullInt64
	if err := tx.QueryRowContext(ctx, "SELECT state, next_at FROM cards WHERE id = ?", card).Scan(&state, &nextAt); err != nil {
		return d, state, err
	}
	e, ok := event(state)
	switch polled := !ok || e.Kind() == rotation.KindAuto; {
	case polled && s.fault == roundedSlot:
		e, ok = rotation.AutoSlot(s.now(), time.Unix(nextAt.Int64, 0)), true
	case polled && s.fault == unslottedPollers:
		e, ok = rotation.AutoUnslotted(s.now()), true
	}
	if !ok {
		return d, state, errNothingDue
	}
	var rules rotation.Rules
	if start, _, _ := state.Guard(); s.fault == inclusiveGuard && e.At().Sub(start) == rules.Guard() {
		rules, _ = rotation.NewRules(rules.Guard()+1, rotation.GuardFromRequest)
	}
	after, d, err := rules.Decide(state, e)
	if err != nil {
		return d, state, err
	}
	if d.Rotate() && s.fault == rotateBeforePersist {
		s.tell(card)
	}
	if err := storeState(ctx, tx, card, after, d.Rotate()); err != nil {
		return d, state, err
	}
	const publish = "INSERT INTO outbox SELECT id, version FROM cards WHERE id = ?"
	if d.Rotate() && s.fault != eventOutside {
		if _, err := tx.ExecContext(ctx, publish, card); err != nil {
			return d, state, err
		}
	}
	if err := tx.Commit(); err != nil {
		return d, state, err
	}
	if d.Rotate() && s.fault == eventOutside {
		_, err = s.db.ExecContext(ctx, publish, card)
	}
	if d.Rotate() && s.fault != rotateBeforePersist {
		s.tell(card)
	}
	return d, after, err
}

// storeState writes the state, the column that the poller's query uses, and the new CVV.
func storeState(ctx context.Context, tx *sql.Tx, card string, state rotation.State, rotated bool) error {
	next, on := state.Next()
	_, err := tx.ExecContext(ctx, "UPDATE cards SET state = ?, next_at = ?, version = version + ? WHERE id = ?",
		state.String(), sql.NullInt64{Int64: next.Unix(), Valid: on}, rotated, card)
	return err
}
