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
	change := s.change(id, key)
	if err := fn(change); err != nil {
		return err
	}
	if err := s.checkPrints(change); err != nil {
		return err
	}
	return s.commitAll(fault, key, change)
}

// discard calls fn and discards its result, as a retried transaction does.
func (s *Store) discard(id, key string, fn func(*store.Change) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = fn(s.change(id, key))
}

// Claim implements store.Cards. If a card moved after it was found and
// before it was locked, fn gets the moved card; see store.Change.Slot.
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
			_ = fn(s.claimChange(c))
		}
	}
	changes := make([]*store.Change, 0, len(found))
	for _, c := range found {
		change := s.claimChange(c)
		if fn(change) == nil {
			change.Fingerprints = nil
			changes = append(changes, change)
		}
	}
	if err := s.commitAll(fault, "", changes...); err != nil {
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

func (s *Store) claimChange(c candidate) *store.Change {
	change := s.change(c.id, "")
	change.Slot = c.slot
	return change
}

// change returns the card for a function to change. The mutex is held.
func (s *Store) change(id, key string) *store.Change {
	change := &store.Change{Now: s.now(), Card: store.Card{ID: id}}
	if r := s.rows[id]; r != nil {
		change.Card = copyCard(r.card)
	}
	if key == "" {
		return change
	}
	if a, ok := s.answers[answerKey{id, key}]; ok && a.Expires.After(change.Now) {
		a.Body = bytes.Clone(a.Body)
		change.Prior = &a
	}
	return change
}

// commitAll stores all changes or none. The mutex is held.
func (s *Store) commitAll(fault Fault, key string, changes ...*store.Change) error {
	if s.dead {
		return store.ErrClosed
	}
	if fault.Before != nil {
		return fault.Before
	}
	for _, change := range changes {
		s.putPrints(change)
		if change.Write {
			s.put(copyCard(change.Card))
		}
		if change.Event != nil {
			s.append(*change.Event)
		}
		if change.Answer != nil && key != "" {
			a := *change.Answer
			a.Body = bytes.Clone(a.Body)
			a.Expires = instant(a.Expires)
			s.answers[answerKey{change.Card.ID, key}] = a
		}
	}
	return fault.After
}

// put stores c without copying it. The mutex is held.
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

// Put stores c unchanged, without an event, and replaces the stored card: for tests
// that restore a card. It injects no faults.
func (s *Store) Put(c store.Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(copyCard(c))
}
