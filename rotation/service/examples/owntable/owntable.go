// Package owntable is an example: a service that keeps cards in a table of its own,
// decides by the rules alone, and wakes by timers.
package owntable

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/timers"
)

// Schema has the cards, and the events that another part of the service publishes.
const Schema = `
CREATE TABLE cards (id text PRIMARY KEY, state text NOT NULL, cvv bytea NOT NULL);
CREATE TABLE events (number bigserial PRIMARY KEY, card text NOT NULL, event text NOT NULL, decision text NOT NULL)`

// A Service rotates the CVVs of the cards in its table.
type Service struct {
	db     *pgxpool.Pool
	clock  clock.Clock
	keys   *seal.Keyring // a CVV is stored encrypted
	rules  rotation.Rules
	random cvvgen.Random
	timers *timers.Timers
}

// Open arms the timers of all cards. Call Run then.
func Open(ctx context.Context, db *pgxpool.Pool, clk clock.Clock, keys *seal.Keyring) (*Service, error) {
	s := &Service{db: db, clock: clk, keys: keys}
	var err error
	s.timers, err = timers.New(clk, func(ctx context.Context, card string) (rotation.State, error) {
		return s.apply(ctx, card, nil, func(state rotation.State) (rotation.Event, bool) { return state.Due(s.clock.Now()) })
	}, timers.Options{Workers: 4})
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, "SELECT id, state FROM cards") // ForEachRow returns its error
	var id string
	var state rotation.State
	_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error { s.timers.Arm(id, state); return nil })
	return s, err
}

// Run rotates what is due until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.timers.Run(ctx) }

// Add adds a card that rotates at the interval.
func (s *Service) Add(ctx context.Context, card string, interval time.Duration) error {
	first := s.keys.Seal([]byte(s.random.Next(cvvgen.CVV{}).Reveal()), []byte(card))
	return s.call(ctx, card, first, func(now time.Time) rotation.Event { return rotation.SetInterval(now, interval) })
}

// Force rotates the CVV of a card now.
func (s *Service) Force(ctx context.Context, card string) error {
	return s.call(ctx, card, nil, rotation.Forced)
}

func (s *Service) call(ctx context.Context, card string, first []byte, event func(now time.Time) rotation.Event) error {
	return s.timers.Update(card, func() (rotation.State, error) { // arms the card AFTER the commit
		return s.apply(ctx, card, first, func(rotation.State) (rotation.Event, bool) { return event(s.clock.Now()), true })
	})
}

// apply decides under the row's lock and stores state, CVV and event together. With a
// first CVV it adds the card.
func (s *Service) apply(ctx context.Context, card string, sealed []byte, event func(rotation.State) (rotation.Event, bool)) (state rotation.State, err error) {
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if sealed != nil {
			if _, err := tx.Exec(ctx, "INSERT INTO cards VALUES ($1, $2, $3)", card, state.String(), sealed); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, "SELECT state, cvv FROM cards WHERE id = $1 FOR UPDATE", card).Scan(&state, &sealed); err != nil {
			return err
		}
		e, ok := event(state) // reads the clock: the card is locked
		if !ok {
			return nil
		}
		after, decision, err := s.rules.Decide(state, e)
		if err != nil {
			return err
		}
		if decision.Rotate() {
			digits, err := s.keys.Open(sealed, []byte(card))
			if err != nil {
				return err
			}
			var cvv cvvgen.CVV
			if err := cvv.UnmarshalText(digits); err != nil {
				return err
			}
			sealed = s.keys.Seal([]byte(s.random.Next(cvv).Reveal()), []byte(card))
		}
		state = after
		_, err = tx.Exec(ctx, `
			WITH changed AS (UPDATE cards SET state = $2, cvv = $3 WHERE id = $1)
			INSERT INTO events (card, event, decision) VALUES ($1, $4, $5)`, card, state.String(), sealed, e.String(), decision.String())
		return err
	})
	return state, err
}
