// Package owntx is an example: a shop that stores an order and its card in one
// transaction, both or neither.
package owntx

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/postgres"
)

// A Shop has orders in a table of its own, and cards in the same database.
type Shop struct {
	DB     *pgxpool.Pool
	Store  *postgres.Store
	Engine *engine.Engine // on Store
}

// Open opens the shop's database.
func Open(ctx context.Context, url string, keys *seal.Keyring) (*Shop, error) {
	if err := postgres.Migrate(ctx, url, postgres.Options{}); err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, url, postgres.Options{})
	if err != nil {
		return nil, err
	}
	e, err := engine.New(store, engine.Random(nil, keys), engine.Options{})
	if err != nil {
		return nil, err
	}
	db, err := pgxpool.New(ctx, url)
	return &Shop{db, store, e}, err
}

// Order stores an order with a card that rotates daily.
func (s *Shop) Order(ctx context.Context, card string, price int) error {
	var cards *engine.Tx
	err := pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO orders (card, price) VALUES ($1, $2)", card, price); err != nil {
			return err
		}
		cards = s.Engine.InTx(s.Store.InTx(tx))
		daily := engine.IntervalRequest{Interval: 24 * time.Hour}
		_, _, err := cards.Register(ctx, engine.Ref{Card: card, Account: "acme"}, engine.RegisterRequest{Schedule: daily})
		return err
	})
	if err == nil {
		cards.Committed() // wakes Run and the relay, which would notice a second later
	}
	return err
}
