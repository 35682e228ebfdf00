package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

var errBroken = errors.New("broken")

// script is a sink that calls a function for each event, and records the attempts.
type script struct {
	answer func(e store.Queued, try int) error // nil: accepts everything

	mu     sync.Mutex
	tries  []try
	counts map[string]int
}

type try struct {
	id  string
	at  time.Time
	err error
}

func (s *script) Deliver(ctx context.Context, events []store.Queued) []error {
	errs := make([]error, len(events))
	for _, card := range outbox.ByCard(events) {
		outbox.InOrder(card, errs, func(i int) error { return s.one(ctx, events[i]) })
	}
	return errs
}

func (s *script) one(ctx context.Context, e store.Queued) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[e.ID()]++
	n := s.counts[e.ID()]
	s.mu.Unlock()
	var err error
	if s.answer != nil {
		err = s.answer(e, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries = append(s.tries, try{e.ID(), time.Now(), err})
	return err
}

func (s *script) Close() error { return nil }

// of returns the tries of one event.
func (s *script) of(id string) []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.tries), func(t try) bool { return t.id != id })
}

// all returns how many tries there were.
func (s *script) all() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tries)
}

// accepted returns the ids of the events that the sink accepted, in order.
func (s *script) accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, t := range s.tries {
		if t.err == nil {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// write queues n events of the card.
func write(t testing.TB, s *memory.Store, card string, n int) {
	t.Helper()
	for range n {
		must.Do(t, s.Update(context.Background(), card, "", func(change *store.Change) error {
			change.Card.Version++
			change.Card.Events++
			change.Write = true
			change.Event = &store.Event{
				Card: card, Number: change.Card.Events, At: change.Now,
				Payload: []byte(fmt.Sprintf(`{"card":%q,"number":%d}`, card, change.Card.Events)),
			}
			return nil
		}))
	}
}

// statuses returns what became of every event.
func statuses(s *memory.Store) map[string]store.Status {
	m := map[string]store.Status{}
	for _, e := range s.Written(0) {
		m[e.ID()] = e.Status
	}
	return m
}

func waiting(s *memory.Store) (n int) {
	for _, e := range s.Written(0) {
		if e.Status == store.StatusWaiting {
			n++
		}
	}
	return n
}

// start runs a relay, and returns it and what ends it.
func start(t testing.TB, events store.Outbox, sink outbox.Sink, o outbox.Options) (*outbox.Relay, func() error) {
	t.Helper()
	r := must.Get(outbox.New(events, sink, o))(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, func() error {
		cancel()
		return <-done
	}
}

// orderFault returns what is wrong with the order of first deliveries: one
// number after the other, apart from those that were parked.
func orderFault(ids []string, s *memory.Store) error {
	status := statuses(s)
	last := map[string]int64{}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		card, number := split(id)
		for n := last[card] + 1; n < number; n++ {
			if before := card + "." + strconv.FormatInt(n, 10); status[before] != store.StatusParked {
				return fmt.Errorf("%s was delivered before %s, which is %v", id, before, status[before])
			}
		}
		if number <= last[card] {
			return fmt.Errorf("%s was first delivered after number %d", id, last[card])
		}
		last[card] = number
	}
	for id, st := range status {
		if st == store.StatusDelivered && !seen[id] {
			return fmt.Errorf("%s is recorded as delivered and was not", id)
		}
	}
	return nil
}

func split(id string) (string, int64) {
	for i := len(id) - 1; ; i-- {
		if id[i] == '.' {
			n, _ := strconv.ParseInt(id[i+1:], 10, 64)
			return id[:i], n
		}
	}
}

func newStore() *memory.Store { return memory.New(memory.Options{}) }
