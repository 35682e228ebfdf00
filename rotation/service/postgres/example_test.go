package postgres_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
)

// Migrate creates the tables; Open returns the store for the engine and the relay.
func Example() {
	ctx := context.Background()
	url := os.Getenv("DATABASE_URL") // postgres://user:password@host/database?sslmode=verify-full
	if err := postgres.Migrate(ctx, url, postgres.Options{}); err != nil {
		log.Fatal(err)
	}
	s, err := postgres.Open(ctx, url, postgres.Options{Connections: 16})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	if err := s.Update(ctx, "card-1", "", func(c *store.Change) error {
		c.Card.Account, c.Card.Version, c.Write = "acme", 1, true
		return nil
	}); err != nil {
		log.Fatal(err)
	}
	card, err := s.Card(ctx, "card-1")
	fmt.Println(card.Account, err)
}
