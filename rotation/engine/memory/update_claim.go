package memory

import (
	"bytes"
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Update implements store.Cards.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	fault, err := s.begin(ctx, Op{Call: CallUpdate, Card: id, Key: key})
	if err != nil {
		return err
	}
	defer s.end()
	if fault.Again {
		s.discard(id, key, fn)
	}
	if fault.Race != nil {
		fault.Race()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.tx(id, key)
	if err := fn(tx); err != nil {
		return err
	}
	return s.commitTxs(fault, key, tx)
}

// discard calls fn as a try that comes to nothing.
func (s *Store) discard(id, key string, fn func(*store.Change) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = fn(s.tx(id, key))
}

// Claim implements store.Cards. A card that has moved between being found and
// being locked is given to fn as it is then; see store.Change.Slot.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	fault, err := s.begin(ctx, Op{Call: CallClaim})
	if err != nil {
		return 0, err
	}
	defer s.end()
	found := s.find(limit)
	if fault.Race != nil {
		fault.Race()
	}
	if len(found) == 0 && fault.Before == nil {
		return 0, fault.After
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault.Again {
		for _, c := range found {
			_ = fn(s.claimTx(c))
		}
	}
	txs := make([]*store.Change, 0, len(found))
	for _, c := range found {
		tx := s.claimTx(c)
		if fn(tx) == nil {
			txs = append(txs, tx)
		}
	}
	if err := s.commitTxs(fault, "", txs...); err != nil {
		return 0, err
	}
	return len(found), nil
}

// candidate is a card that was found due, and its slot then.
type candidate struct {
	id   string
	slot time.Time
}

// find returns up to limit cards that are due, oldest first.
func (s *Store) find(limit int) []candidate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []candidate
	for _, r := range s.due.first(limit, s.now()) {
		found = append(found, candidate{r.card.ID, r.card.Next})
	}
	return found
}

func (s *Store) claimTx(c candidate) *store.Change {
	tx := s.tx(c.id, "")
	tx.Slot = c.slot
	return tx
}

// tx returns the card for a function to change. The mutex is held.
func (s *Store) tx(id, key string) *store.Change {
	tx := &store.Change{Now: s.now(), Card: store.Card{ID: id}}
	if r := s.rows[id]; r != nil {
		tx.Card = copyCard(r.card)
	}
	if key == "" {
		return tx
	}
	if a, ok := s.answers[answerKey{id, key}]; ok && a.Expires.After(tx.Now) {
		a.Body = bytes.Clone(a.Body)
		tx.Prior = &a
	}
	return tx
}

// commitTxs stores what functions asked for, all or nothing. The mutex is held.
func (s *Store) commitTxs(fault Fault, key string, txs ...*store.Change) error {
	if s.dead {
		return store.ErrClosed
	}
	if fault.Before != nil {
		return fault.Before
	}
	for _, tx := range txs {
		if tx.Write {
			s.put(copyCard(tx.Card))
		}
		if tx.Event != nil {
			s.append(*tx.Event)
		}
		if tx.Answer != nil && key != "" {
			a := *tx.Answer
			a.Body = bytes.Clone(a.Body)
			a.Expires = instant(a.Expires)
			s.answers[answerKey{tx.Card.ID, key}] = a
		}
	}
	return fault.After
}

// put stores c, which no other code refers to. The mutex is held.
func (s *Store) put(c store.Card) {
	r := s.rows[c.ID]
	if r == nil {
		r = &row{place: -1}
		s.rows[c.ID] = r
		s.ids = append(s.ids, c.ID)
		s.shuffle = true
	}
	r.card = c
	s.due.set(r)
}

// Put stores c as it is, without an event and whatever is stored already, as a
// test needs that restores a card. No fault comes in between.
func (s *Store) Put(c store.Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(copyCard(c))
}
