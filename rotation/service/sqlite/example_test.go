package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/sqlite"
)

// Open creates the file and its tables, and returns the store for the engine and the
// relay.
func Example() {
	dir, err := os.MkdirTemp("", "cards")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s, err := sqlite.Open(ctx, filepath.Join(dir, "cards.db"), sqlite.Options{})
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
	fmt.Println(card.ID, card.Account, err)
	// Output: card-1 acme <nil>
}
