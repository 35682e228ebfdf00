package sqlite

import (
	"testing"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

func mustCode(s string) servicecode.Code { return servicecode.MustParse(s) }

func sameCode(a, b servicecode.Code) bool { return a == b }

// count adds one to the card's version, writes an event of that number, and
// makes the card if there is none.
func count(tx *store.Tx) error {
	tx.Card.Version++
	tx.Card.Events++
	tx.Card.Due = tx.Now
	tx.Write = true
	tx.Event = &store.Event{Card: tx.Card.ID, Number: tx.Card.Events, At: tx.Now, Payload: []byte("{}")}
	return nil
}

func put(t testing.TB, s *Store, id string) {
	t.Helper()
	if err := s.Update(t.Context(), id, "", count); err != nil {
		t.Fatal(err)
	}
}

func version(t testing.TB, s *Store, id string) int64 {
	t.Helper()
	c, err := s.Card(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c.Version
}

// numbers returns the numbers of all events of a card.
func numbers(t testing.TB, s *Store, id string) (numbers []int64) {
	t.Helper()
	events, err := s.Log(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Card == id {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// upTo is what numbers returns when n events have been written, none of them
// twice.
func upTo(n int64) (numbers []int64) {
	for i := range n {
		numbers = append(numbers, i+1)
	}
	return numbers
}
