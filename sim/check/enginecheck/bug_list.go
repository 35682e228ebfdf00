package enginecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Bug is an engine, or its store, that is wrong in one known way. A campaign
// must find every one of them.
type Bug struct {
	Name     string
	Sentence string // what it gets wrong

	store     func(store.Store, world) store.Store // what the engine of a replica gets in place of the store
	generator func(engine.Generator) engine.Generator
}

// world is what a bug may know of the run, as a process could.
type world struct {
	replica int
	clock   clock.Clock // the replica's own
	grace   time.Duration
}

// Bugs returns the shipped bugs.
func Bugs() []Bug { return bugs }

// FindBug returns the bug of that name.
func FindBug(name string) (Bug, bool) {
	for _, b := range bugs {
		if b.Name == name {
			return b, true
		}
	}
	return Bug{}, false
}

// Wrap returns what an engine with the bug gets in place of the store, so that
// other tests can show what they find: s itself where the bug is not in the
// store. The replica is the number of the process, from 0.
func (b Bug) Wrap(s store.Store, replica int) store.Store {
	if b.store == nil {
		return s
	}
	return b.store(s, world{replica: replica, clock: clock.New()})
}

var bugs = []Bug{
	{Name: "event-lost", Sentence: "an automatic rotation of a batch writes no event", store: inClaims(func(tx *store.Tx, _ store.Card) { tx.Event = nil })},
	{Name: "event-without-rotation", Sentence: "a failed rotation writes an event all the same", store: inClaims(func(tx *store.Tx, before store.Card) {
		if tx.Card.Failures > before.Failures {
			tx.Card.Events++
			tx.Event = &store.Event{Card: tx.Card.ID, Number: tx.Card.Events, At: tx.Now, Payload: []byte("{}")}
		}
	})},
	{Name: "event-twice", Sentence: "an update writes its event twice", store: wrapped(func(w *wrong) { w.after = w.writeAgain })},
	{Name: "event-beside", Sentence: "the event is written in a transaction of its own, after the card's", store: wrapped(func(w *wrong) { w.update = w.eventBeside })},
	{Name: "number-per-attempt", Sentence: "an event takes its number when it is made, and a try that comes to nothing leaves a gap", store: wrapped(func(w *wrong) {
		tried := map[string]int64{}
		w.change = func(tx *store.Tx, _ store.Card) {
			if tx.Event != nil {
				tried[tx.Card.ID] = max(tried[tx.Card.ID]+1, tx.Event.Number)
				tx.Event.Number, tx.Card.Events = tried[tx.Card.ID], tried[tx.Card.ID]
			}
		}
	})},
	{Name: "answer-not-stored", Sentence: "what a key was answered is not stored", store: everywhere(func(tx *store.Tx, _ store.Card) { tx.Answer = nil })},
	{Name: "answer-short-lived", Sentence: "what a key was answered is kept for an hour, not a day", store: everywhere(func(tx *store.Tx, _ store.Card) {
		if tx.Answer != nil {
			tx.Answer.Expires = tx.Now.Add(time.Hour)
		}
	})},
	{Name: "key-per-replica", Sentence: "each replica knows the keys that it was given itself", store: wrapped(func(w *wrong) {
		w.key = func(key string) string {
			if key != "" {
				key = fmt.Sprintf("%d %s", w.world.replica, key)
			}
			return key
		}
	})},
	{Name: "reply-before-commit", Sentence: "a call is answered before its commit, and nobody hears of a commit that fails", store: wrapped(func(w *wrong) { w.update = w.replyFirst })},
	{Name: "claim-unlocked", Sentence: "a claim decides on the cards as it found them, and not under their locks", store: wrapped(func(w *wrong) { w.claim = w.claimUnlocked })},
	{Name: "claim-without-slot", Sentence: "a claim that lost a race names the slot that is next by now, and not the one it was made for", store: wrapped(func(w *wrong) {
		w.enter = func(tx *store.Tx) { tx.Slot = time.Time{} }
	})},
	{Name: "claim-stalls", Sentence: "one card that fails undoes the whole batch", store: wrapped(func(w *wrong) { w.claim = w.claimAllOrNothing })},
	{Name: "due-not-moved", Sentence: "a failed rotation leaves the card due at once", store: inClaims(func(tx *store.Tx, before store.Card) {
		if tx.Card.Failures > before.Failures {
			tx.Card.Due = before.Due
		}
	})},
	{Name: "failures-forgotten", Sentence: "the back-off of a card that keeps failing does not grow", store: inClaims(func(tx *store.Tx, before store.Card) {
		if tx.Card.Failures > before.Failures {
			tx.Card.Failures, tx.Card.Due = 1, tx.Now.Add(time.Second)
		}
	})},
	{Name: "tries-reset", Sentence: "a rotation gives an attacker new tries", store: everywhere(func(tx *store.Tx, before store.Card) {
		if tx.Card.Version > before.Version {
			tx.Card.Tries = 0
		}
	})},
	{Name: "rotation-unlocks", Sentence: "a rotation lifts the lock that too many tries have set", store: everywhere(func(tx *store.Tx, before store.Card) {
		if tx.Card.Version > before.Version {
			tx.Card.Locked = time.Time{}
		}
	})},
	{Name: "compromised-kept", Sentence: "the value before a compromised one stays good for the grace", store: wrapped(func(w *wrong) {
		w.change = func(tx *store.Tx, _ store.Card) {
			if changed(tx).Compromised && w.world.grace > 0 {
				tx.Card.PreviousUntil = tx.Now.Add(w.world.grace)
			}
		}
	})},
	{Name: "grace-from-slot", Sentence: "the grace of a late rotation starts at its slot, and not at the rotation", store: inClaims(func(tx *store.Tx, before store.Card) {
		if tx.Card.Version > before.Version && !tx.Card.PreviousUntil.IsZero() {
			tx.Card.PreviousUntil = tx.Card.PreviousUntil.Add(tx.Slot.Sub(tx.Now))
		}
	})},
	{Name: "repair-loses-phase", Sentence: "a repaired schedule starts anew, one interval from now", store: everywhere(func(tx *store.Tx, before store.Card) {
		if c := changed(tx); c.Repaired {
			restart(tx, before, c)
		}
	})},
	{Name: "app-clock", Sentence: "decisions are made at the replica's time, not the store's", store: wrapped(func(w *wrong) {
		w.enter = func(tx *store.Tx) { tx.Now = w.world.clock.Now() }
	})},
	{Name: "stale-reads", Sentence: "a replica shows a card as it last saw it", store: wrapped(func(w *wrong) { w.read = w.readOnce })},
	{Name: "first-try-counts", Sentence: "when the store tries again, what the first try decided is stored", store: wrapped(func(w *wrong) { w.update = w.firstTry })},
	{Name: "reseal-forgets", Sentence: "sealing anew leaves the CVV before as it was", generator: func(g engine.Generator) engine.Generator { return forgets{g} }},
	{Name: "cvv-comes-back", Sentence: "now and then a CVV replaces itself", generator: func(g engine.Generator) engine.Generator { return comesBack{g} }},
}

// errAll undoes a batch.
var errAll = errors.New("a card of the batch failed")

// inClaims returns a store in which claims come out otherwise.
func inClaims(change func(tx *store.Tx, before store.Card)) func(store.Store, world) store.Store {
	return wrapped(func(w *wrong) { w.inClaim = change })
}

// everywhere returns a store in which claims and updates come out otherwise.
func everywhere(change func(tx *store.Tx, before store.Card)) func(store.Store, world) store.Store {
	return wrapped(func(w *wrong) { w.change = change })
}

func wrapped(set func(*wrong)) func(store.Store, world) store.Store {
	return func(s store.Store, at world) store.Store {
		w := &wrong{Store: s, world: at}
		set(w)
		return w
	}
}

// changed returns what the event of a transaction tells; the zero value when
// there is none.
func changed(tx *store.Tx) (c event.Changed) {
	if tx.Event != nil {
		c, _ = event.Parse(tx.Event.Payload)
	}
	return c
}

// restart makes the schedule of a repair one interval from now.
func restart(tx *store.Tx, before store.Card, c event.Changed) {
	var s rotation.State
	if s.UnmarshalBinary(before.State) != nil {
		return
	}
	interval := s.Interval()
	after, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(tx.Now, interval))
	if err != nil {
		return
	}
	c.Next, _ = after.Next()
	c.Interval = interval
	tx.Card.State, _ = after.AppendBinary(nil)
	tx.Card.Next, tx.Card.Due = c.Next, c.Next
	tx.Event.Payload = c.AppendJSON(nil)
}

// comesBack is a generator whose every seventh CVV is the one before.
type comesBack struct{ engine.Generator }

// Draw implements engine.Generator.
func (g comesBack) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	if c.Version%7 != 0 {
		return g.Generator.Draw(ctx, c, code)
	}
	before, err := g.Open(ctx, c, true)
	for err == nil {
		hidden := *c // from itself, the value is none to avoid
		hidden.PreviousSealed, hidden.PreviousCode = nil, servicecode.Code{}
		if err = g.Generator.Draw(ctx, &hidden, servicecode.Code{}); err != nil {
			break
		}
		var now cvvgen.CVV
		if now, err = g.Open(ctx, &hidden, false); err == nil && now.Equal(before) {
			c.ServiceCode, c.Sealed = hidden.ServiceCode, hidden.Sealed
			return nil
		}
	}
	return err
}

// forgets is a generator that does not seal anew the CVV before.
type forgets struct{ engine.Generator }

// Reseal implements engine.Generator.
func (g forgets) Reseal(c *store.Card) (bool, error) {
	before := c.PreviousSealed
	changed, err := g.Generator.Reseal(c)
	c.PreviousSealed = before
	return changed, err
}

// wrong is a store that is wrong in one way.
type wrong struct {
	store.Store
	world world

	enter   func(tx *store.Tx)                     // before the engine sees a transaction
	change  func(tx *store.Tx, before store.Card)  // after the engine is done with it
	inClaim func(tx *store.Tx, before store.Card)  // likewise, in claims only
	key     func(key string) string                // the key of an update
	after   func(ctx context.Context, tx store.Tx) // after an update was stored
	update  func(ctx context.Context, id, key string, fn func(*store.Tx) error) error
	claim   func(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error)
	read    func(ctx context.Context, id string) (store.Card, error)
	seen    map[string]store.Card
}

func (w *wrong) wrap(fn func(*store.Tx) error, claim bool) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		before := tx.Card
		if w.enter != nil {
			w.enter(tx)
		}
		if err := fn(tx); err != nil {
			return err
		}
		if w.change != nil {
			w.change(tx, before)
		}
		if w.inClaim != nil && claim {
			w.inClaim(tx, before)
		}
		return nil
	}
}

// Update implements store.Store.
func (w *wrong) Update(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	if w.key != nil {
		key = w.key(key)
	}
	var last store.Tx
	inner := w.wrap(fn, false)
	noted := func(tx *store.Tx) error {
		err := inner(tx)
		last = *tx
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
func (w *wrong) Claim(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
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
func (w *wrong) writeAgain(ctx context.Context, tx store.Tx) {
	if tx.Event == nil || changed(&tx).Automatic {
		return
	}
	_ = w.Store.Update(ctx, tx.Card.ID, "", func(again *store.Tx) error {
		again.Event = tx.Event
		return nil
	})
}

// eventBeside does an update in two transactions.
func (w *wrong) eventBeside(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	var e *store.Event
	if err := w.Store.Update(ctx, id, key, func(tx *store.Tx) error {
		err := fn(tx)
		e, tx.Event = tx.Event, nil
		return err
	}); err != nil || e == nil {
		return err
	}
	return w.Store.Update(ctx, id, "", func(tx *store.Tx) error {
		tx.Event = e
		return nil
	})
}

// replyFirst does an update and does not care how it ends.
func (w *wrong) replyFirst(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	var decided error
	called := false
	err := w.Store.Update(ctx, id, key, func(tx *store.Tx) error {
		decided, called = fn(tx), true
		return decided
	})
	if called {
		return decided
	}
	return err
}

// claimUnlocked gives the engine the cards as they were found.
func (w *wrong) claimUnlocked(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
	found := map[string]store.Card{}
	cards, err := w.Store.Cards(ctx, "", 100)
	if err != nil {
		return 0, err
	}
	for _, c := range cards {
		found[c.ID] = c
	}
	return w.Store.Claim(ctx, limit, func(tx *store.Tx) error {
		tx.Card = found[tx.Card.ID]
		return fn(tx)
	})
}

// claimAllOrNothing ends a claim in which a card fails.
func (w *wrong) claimAllOrNothing(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
	failed := false
	n, err := w.Store.Claim(ctx, limit, func(tx *store.Tx) error {
		before := tx.Card.Failures
		err := fn(tx)
		if failed = failed || tx.Card.Failures > before; failed {
			return errAll // it leaves out this card, and what comes after it
		}
		return err
	})
	return n, err
}

// readOnce reads a card once.
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

// firstTry keeps what the first try asked for.
func (w *wrong) firstTry(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	var first *store.Tx
	return w.Store.Update(ctx, id, key, func(tx *store.Tx) error {
		if first == nil {
			err := fn(tx)
			if err == nil {
				first = new(store.Tx)
				*first = *tx
				first.Card.State = bytes.Clone(tx.Card.State)
			}
			return err
		}
		tx.Card, tx.Write, tx.Event, tx.Answer = first.Card, first.Write, first.Event, first.Answer
		return nil
	})
}
