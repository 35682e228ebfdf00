package enginecheck

import (
	"fmt"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
)

// Bug is an engine, or its store, that is wrong in one known way. A campaign
// must find every one of them.
type Bug struct {
	Name     string
	Sentence string // what it gets wrong

	store     func(store.Store, world) store.Store // wraps the store of a replica
	generator func(engine.Generator) engine.Generator
	rules     func(rotation.Rules) rotation.Rules
}

// world is what a bug knows of its process.
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

// Wrap returns the store with the bug, or s itself if the bug is not in the store.
// Other tests use it to show that they find the bug. The replica is the number of
// the process, from 0.
func (b Bug) Wrap(s store.Store, replica int) store.Store {
	if b.store == nil {
		return s
	}
	return b.store(s, world{replica: replica, clock: clock.New()})
}

var bugs = []Bug{
	{Name: "event-lost", Sentence: "an automatic rotation in a batch writes no event", store: inClaims(func(change *store.Change, _ store.Card) { change.Event = nil })},
	{Name: "event-without-rotation", Sentence: "a failed rotation still writes an event", store: inClaims(func(change *store.Change, before store.Card) {
		if change.Card.Failures > before.Failures {
			change.Card.Events++
			change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
		}
	})},
	{Name: "event-twice", Sentence: "an update writes its event twice", store: wrapped(func(w *wrong) { w.after = w.writeAgain })},
	{Name: "event-beside", Sentence: "the event is written in a second transaction, after the card's", store: wrapped(func(w *wrong) { w.update = w.eventBeside })},
	{Name: "number-per-attempt", Sentence: "an event gets its number when it is built, so an attempt without a commit leaves a gap", store: wrapped(func(w *wrong) {
		tried := map[string]int64{}
		w.change = func(change *store.Change, _ store.Card) {
			if change.Event != nil {
				tried[change.Card.ID] = max(tried[change.Card.ID]+1, change.Event.Number)
				change.Event.Number, change.Card.Events = tried[change.Card.ID], tried[change.Card.ID]
			}
		}
	})},
	{Name: "answer-not-stored", Sentence: "the answer to an idempotency key is not stored", store: everywhere(func(change *store.Change, _ store.Card) { change.Answer = nil })},
	{Name: "answer-short-lived", Sentence: "the answer to an idempotency key is kept for an hour instead of a day", store: everywhere(func(change *store.Change, _ store.Card) {
		if change.Answer != nil {
			change.Answer.Expires = change.Now.Add(time.Hour)
		}
	})},
	{Name: "key-per-replica", Sentence: "each replica knows only the idempotency keys of its own calls", store: wrapped(func(w *wrong) {
		w.key = func(key string) string {
			if key != "" {
				key = fmt.Sprintf("%d %s", w.world.replica, key)
			}
			return key
		}
	})},
	{Name: "reply-before-commit", Sentence: "a call is answered before its commit, and a failed commit is not reported", store: wrapped(func(w *wrong) { w.update = w.replyFirst })},
	{Name: "claim-unlocked", Sentence: "a claim decides on the cards as it read them before it locked them", store: wrapped(func(w *wrong) { w.claim = w.claimUnlocked })},
	{Name: "claim-without-slot", Sentence: "a claim that lost a race names the new next slot instead of the slot it was made for", store: wrapped(func(w *wrong) {
		w.enter = func(change *store.Change) { change.Slot = time.Time{} }
	})},
	{Name: "claim-stalls", Sentence: "one failing card undoes the whole batch", store: wrapped(func(w *wrong) { w.claim = w.claimAllOrNothing })},
	{Name: "due-not-moved", Sentence: "after a failed rotation the card is due again immediately", store: inClaims(func(change *store.Change, before store.Card) {
		if change.Card.Failures > before.Failures {
			change.Card.Due = before.Due
		}
	})},
	{Name: "failures-forgotten", Sentence: "the back-off of a card that keeps failing does not grow", store: inClaims(func(change *store.Change, before store.Card) {
		if change.Card.Failures > before.Failures {
			change.Card.Failures, change.Card.Due = 1, change.Now.Add(time.Second)
		}
	})},
	{Name: "tries-reset", Sentence: "a rotation resets the failed-attempt counter", store: everywhere(func(change *store.Change, before store.Card) {
		if change.Card.Version > before.Version {
			change.Card.Tries = 0
		}
	})},
	{Name: "rotation-unlocks", Sentence: "a rotation unlocks a card that failed attempts have locked", store: everywhere(func(change *store.Change, before store.Card) {
		if change.Card.Version > before.Version {
			change.Card.Locked = time.Time{}
		}
	})},
	{Name: "compromised-kept", Sentence: "the previous CVV is still accepted after a rotation because of a compromise", store: wrapped(func(w *wrong) {
		w.change = func(change *store.Change, _ store.Card) {
			if changed(change).Compromised && w.world.grace > 0 {
				change.Card.PreviousUntil = change.Now.Add(w.world.grace)
			}
		}
	})},
	{Name: "grace-from-slot", Sentence: "the grace period of a late rotation starts at its slot instead of at the rotation", store: inClaims(func(change *store.Change, before store.Card) {
		if change.Card.Version > before.Version && !change.Card.PreviousUntil.IsZero() {
			change.Card.PreviousUntil = change.Card.PreviousUntil.Add(change.Slot.Sub(change.Now))
		}
	})},
	{Name: "repair-loses-phase", Sentence: "a repaired schedule restarts one interval from now", store: everywhere(func(change *store.Change, before store.Card) {
		if c := changed(change); c.Repaired {
			restart(change, before, c)
		}
	})},
	{Name: "app-clock", Sentence: "decisions use the replica's clock instead of the store's", store: wrapped(func(w *wrong) {
		w.enter = func(change *store.Change) { change.Now = w.world.clock.Now() }
	})},
	{Name: "stale-reads", Sentence: "a replica shows a card as it first read it", store: wrapped(func(w *wrong) { w.read = w.readOnce })},
	{Name: "first-try-counts", Sentence: "when the store retries a transaction, it stores what the first attempt decided", store: wrapped(func(w *wrong) { w.update = w.firstTry })},
	{Name: "guard-zero-default", Sentence: "a guard of 0 is read as the default", rules: func(rules rotation.Rules) rotation.Rules {
		if rules.Guard() == 0 {
			rules, _ = rotation.NewRules(rotation.DefaultGuard, rules.GuardFrom())
		}
		return rules
	}},
	{Name: "guard-from-ignored", Sentence: "the guard restarts at every rotation although it counts from schedulings", rules: func(rules rotation.Rules) rotation.Rules {
		rules, _ = rotation.NewRules(rules.Guard(), rotation.GuardFromRequest)
		return rules
	}},
	{Name: "lock-ignored", Sentence: "a locked card still answers for the CVV", store: wrapped(func(w *wrong) {
		w.enter = func(change *store.Change) { change.Card.Locked = time.Time{} }
		w.change = func(change *store.Change, before store.Card) {
			if change.Event == nil && !before.Locked.IsZero() {
				change.Card, change.Write = before, false
			}
		}
	})},
	{Name: "newest-first", Sentence: "the outbox delivers the newest event first", store: wrapped(func(w *wrong) { w.waiting = slices.Reverse[[]store.Queued] })},
	{Name: "failed-not-claimed", Sentence: "a card whose rotation failed is not claimed again", store: wrapped(func(w *wrong) { w.claim = w.claimUnfailed })},
	{Name: "interval-unguarded", Sentence: "a new interval starts no guard where the guard counts from schedulings", store: everywhere(func(change *store.Change, _ store.Card) {
		if c := changed(change); c.Operation == event.OperationChangeInterval && c.Rules.GuardFrom() == rotation.GuardFromScheduling {
			change.Card.State = withoutGuard(change.Card.State)
		}
	})},
	{Name: "back-off-overflows", Sentence: "the back-off doubles without a limit and overflows after 35 failures", store: inClaims(func(change *store.Change, before store.Card) {
		if n := change.Card.Failures; n > before.Failures && n > 34 {
			change.Card.Due = change.Now.Add(time.Second << (n - 1))
		}
	})},
	{Name: "repair-at-multiple", Sentence: "a next slot exactly a multiple of the interval ahead is not repaired", store: everywhere(func(change *store.Change, before store.Card) {
		if changed(change).Repaired && before.Next.Sub(change.Now)%before.Interval == 0 {
			change.Card, change.Event, change.Write = before, nil, false
		}
	})},
	{Name: "settings-forgotten", Sentence: "settings with spread that are sent again move the slot, because the accepted ones are not read", store: wrapped(func(w *wrong) {
		w.enter = func(change *store.Change) { change.Card.Spread = false }
		w.change = func(change *store.Change, before store.Card) {
			if op := changed(change).Operation; op != event.OperationChangeInterval && op != event.OperationDeleteInterval {
				change.Card.Spread = before.Spread
			}
		}
	})},
	{Name: "unlock-resets-daily", Sentence: "an unlock resets the failed attempts of the last 24 hours", store: everywhere(func(change *store.Change, before store.Card) {
		if !before.Locked.IsZero() && change.Card.Locked.IsZero() {
			change.Card.FailedAt = nil
		}
	})},
	{Name: "reseal-forgets", Sentence: "re-encrypting leaves the previous CVV under the old key", generator: func(g engine.Generator) engine.Generator { return forgets{g} }},
	{Name: "pan-shared", Sentence: "a registration stores no fingerprint, so that another card can have the same PAN and expiry", store: everywhere(func(change *store.Change, _ store.Card) { change.Fingerprints = nil })},
	{Name: "compromised-comes-back", Sentence: "a service code that gives a compromised CVV is accepted", generator: func(g engine.Generator) engine.Generator { return reuses{g} }},
	{Name: "cvv-comes-back", Sentence: "every seventh rotation draws the CVV that it replaces", generator: func(g engine.Generator) engine.Generator { return comesBack{g} }},
}
