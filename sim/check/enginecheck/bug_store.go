package enginecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
)

// errAll undoes a batch.
var errAll = errors.New("a card of the batch failed")

// inClaims returns a store that changes the results of claims.
func inClaims(change func(change *store.Change, before store.Card)) func(store.Store, world) store.Store {
	return wrapped(func(w *wrong) { w.inClaim = change })
}

// everywhere returns a store that changes the results of claims and updates.
func everywhere(change func(change *store.Change, before store.Card)) func(store.Store, world) store.Store {
	return wrapped(func(w *wrong) { w.change = change })
}

func wrapped(set func(*wrong)) func(store.Store, world) store.Store {
	return func(s store.Store, at world) store.Store {
		w := &wrong{Store: s, world: at}
		set(w)
		return w
	}
}

// changed returns the content of a change's event; the zero value without an event.
func changed(change *store.Change) (c event.Changed) {
	if change.Event != nil {
		c, _ = event.ParseStrict(change.Event.Payload)
	}
	return c
}

// restart replaces a repaired schedule by one that starts one interval from now.
func restart(change *store.Change, before store.Card, c event.Changed) {
	var s rotation.State
	if s.UnmarshalBinary(before.State) != nil {
		return
	}
	interval := s.Interval()
	after, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(change.Now, interval))
	if err != nil {
		return
	}
	c.Next, _ = after.Next()
	c.Interval = interval
	change.Card.State, _ = after.AppendBinary(nil)
	change.Card.Next, change.Card.Due = c.Next, c.Next
	change.Event.Payload = c.AppendJSON(nil)
}

// withoutGuard returns the stored state without the guard's start.
func withoutGuard(stored []byte) []byte {
	var s rotation.State
	if s.UnmarshalBinary(stored) != nil {
		return stored
	}
	text, _, _ := strings.Cut(s.String(), " crc=")
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return strings.HasPrefix(w, "guard=") })
	text = strings.Join(words, " ")
	crc := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
	if s.UnmarshalText(fmt.Appendf(nil, "%s crc=%08x", text, crc)) != nil {
		return stored
	}
	stored, _ = s.AppendBinary(nil)
	return stored
}

// wrong is a store that is wrong in one way.
type wrong struct {
	store.Store
	world world

	enter   func(change *store.Change)                     // before the engine sees the change
	change  func(change *store.Change, before store.Card)  // after the engine is done with it
	inClaim func(change *store.Change, before store.Card)  // likewise, in claims only
	key     func(key string) string                        // the key of an update
	after   func(ctx context.Context, change store.Change) // after an update was stored
	update  func(ctx context.Context, id, key string, fn func(*store.Change) error) error
	claim   func(ctx context.Context, limit int, fn func(*store.Change) error) (int, error)
	read    func(ctx context.Context, id string) (store.Card, error)
	seen    map[string]store.Card
	waiting func(events []store.Queued) // what waits for delivery
}

// ListWaiting implements store.Store.
func (w *wrong) ListWaiting(ctx context.Context, limit int, skip []string) ([]store.Queued, error) {
	events, err := w.Store.ListWaiting(ctx, limit, skip)
	if w.waiting != nil {
		w.waiting(events)
	}
	return events, err
}

func (w *wrong) wrap(fn func(*store.Change) error, claim bool) func(*store.Change) error {
	return func(change *store.Change) error {
		before := change.Card
		if w.enter != nil {
			w.enter(change)
		}
		if err := fn(change); err != nil {
			return err
		}
		if w.change != nil {
			w.change(change, before)
		}
		if w.inClaim != nil && claim {
			w.inClaim(change, before)
		}
		return nil
	}
}

// Update implements store.Store.
func (w *wrong) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	if w.key != nil {
		key = w.key(key)
	}
	var last store.Change
	inner := w.wrap(fn, false)
	noted := func(change *store.Change) error {
		err := inner(change)
		last = *change
		return err
	}
	update := w.Store.Update
	if w.update != nil {
		update = w.update
	}
	err := update(ctx, id, key, noted)
	if err == nil && w.after != nil {
		w.after(ctx, last)
	}
	return err
}

// Claim implements store.Store.
func (w *wrong) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	if w.claim != nil {
		return w.claim(ctx, limit, fn)
	}
	return w.Store.Claim(ctx, limit, w.wrap(fn, true))
}

// Card implements store.Store.
func (w *wrong) Card(ctx context.Context, id string) (store.Card, error) {
	if w.read != nil {
		return w.read(ctx, id)
	}
	return w.Store.Card(ctx, id)
}

// writeAgain writes the event of an update once more.
func (w *wrong) writeAgain(ctx context.Context, change store.Change) {
	if change.Event == nil || changed(&change).Automatic {
		return
	}
	_ = w.Store.Update(ctx, change.Card.ID, "", func(again *store.Change) error {
		again.Event = change.Event
		return nil
	})
}

// eventBeside does an update in two transactions.
func (w *wrong) eventBeside(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	var e *store.Event
	if err := w.Store.Update(ctx, id, key, func(change *store.Change) error {
		err := fn(change)
		e, change.Event = change.Event, nil
		return err
	}); err != nil || e == nil {
		return err
	}
	return w.Store.Update(ctx, id, "", func(change *store.Change) error {
		change.Event = e
		return nil
	})
}

// replyFirst does an update and ignores the result of the commit.
func (w *wrong) replyFirst(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	var decided error
	called := false
	err := w.Store.Update(ctx, id, key, func(change *store.Change) error {
		decided, called = fn(change), true
		return decided
	})
	if called {
		return decided
	}
	return err
}

// claimUnlocked gives the engine the cards as they were before the lock.
func (w *wrong) claimUnlocked(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	found := map[string]store.Card{}
	cards, err := w.Store.ListCards(ctx, "", 100)
	if err != nil {
		return 0, err
	}
	for _, c := range cards {
		found[c.ID] = c
	}
	return w.Store.Claim(ctx, limit, func(change *store.Change) error {
		change.Card = found[change.Card.ID]
		return fn(change)
	})
}

// claimUnfailed leaves out cards whose rotation has failed.
func (w *wrong) claimUnfailed(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	left := map[string]bool{}
	n, err := w.Store.Claim(ctx, limit, func(change *store.Change) error {
		if change.Card.Failures > 0 {
			left[change.Card.ID] = true
			return nil
		}
		return fn(change)
	})
	return max(0, n-len(left)), err
}

// claimAllOrNothing ends a claim when one card fails.
func (w *wrong) claimAllOrNothing(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	failed := false
	n, err := w.Store.Claim(ctx, limit, func(change *store.Change) error {
		before := change.Card.Failures
		err := fn(change)
		if failed = failed || change.Card.Failures > before; failed {
			return errAll // skips this card and all later ones
		}
		return err
	})
	return n, err
}

// readOnce reads each card once and then returns its copy.
func (w *wrong) readOnce(ctx context.Context, id string) (store.Card, error) {
	if c, ok := w.seen[id]; ok {
		return c, nil
	}
	c, err := w.Store.Card(ctx, id)
	if err == nil {
		if w.seen == nil {
			w.seen = map[string]store.Card{}
		}
		w.seen[id] = c
	}
	return c, err
}

// firstTry stores what the first attempt decided.
func (w *wrong) firstTry(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	var first *store.Change
	return w.Store.Update(ctx, id, key, func(change *store.Change) error {
		if first == nil {
			err := fn(change)
			if err == nil {
				first = new(store.Change)
				*first = *change
				first.Card.State = bytes.Clone(change.Card.State)
			}
			return err
		}
		change.Card, change.Write, change.Event, change.Answer = first.Card, first.Write, first.Event, first.Answer
		return nil
	})
}
