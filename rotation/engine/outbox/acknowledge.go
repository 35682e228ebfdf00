package outbox

import (
	"context"
	"fmt"

	"cvvrotation/rotation/engine/store"
)

// result is an outcome, and whether the store records it.
type result struct {
	Outcome
	record bool
}

// results are the outcomes of one or more batches.
type results struct {
	outcomes []result
	cards    []string // no longer busy when the store has recorded the outcomes
}

// acknowledgements are the outcomes on their way to the store.
type acknowledgements struct {
	ctx    context.Context
	cancel context.CancelFunc

	queued  results
	running *results // being recorded; nil: none
	done    chan error
}

// acknowledge starts to record outcomes in the store, unless it is already doing
// so. Meanwhile other cards' events are read and delivered.
func (s *session) acknowledge(ctx context.Context) {
	if s.acks.running != nil || len(s.acks.queued.cards) == 0 || s.o.Clock.Now().Before(s.storeRetryAt) {
		return
	}
	now := s.acks.queued
	s.acks.running, s.acks.queued = &now, results{}
	var deliveries []store.Delivery
	for _, r := range s.acks.running.outcomes {
		if !r.record {
			continue
		}
		d := store.Delivery{Position: r.Event.Position, Status: r.Status}
		if r.Err != nil {
			d.Failure = reason(r.Err)
		}
		deliveries = append(deliveries, d)
	}
	if len(deliveries) == 0 {
		s.acknowledged(ctx, nil)
		return
	}
	go func() { s.acks.done <- s.events.RecordDeliveries(s.acks.ctx, deliveries) }()
}

// acknowledged ends what acknowledge started: the cards' next events may follow.
func (s *session) acknowledged(ctx context.Context, err error) {
	done := *s.acks.running
	s.acks.running = nil
	if err != nil {
		s.acks.queued = results{append(done.outcomes, s.acks.queued.outcomes...), append(done.cards, s.acks.queued.cards...)}
		s.storeFailed(ctx, "acknowledging deliveries failed; retrying", err)
		return
	}
	s.storeFailures = 0
	for _, r := range done.outcomes {
		if r.Status == store.StatusParked {
			s.logDeadLetter(ctx, r.Outcome)
		}
		s.o.Observe(r.Outcome)
	}
	for _, card := range done.cards {
		delete(s.busy, card)
	}
	s.more = true // perhaps later events of the same cards
}

func (s *session) logDeadLetter(ctx context.Context, o Outcome) {
	s.o.Logger.ErrorContext(ctx, "event dead-lettered; it stays parked until it is requeued", "event", o.Event.ID(),
		"position", o.Event.Position, "attempts", o.Event.Attempts+1, "error", reason(o.Err))
}

// reason returns what is stored and logged of a failure: one short line.
func reason(err error) string {
	s := fmt.Sprintf("%.300s", err)
	line := []rune(s)
	for i, c := range line {
		if c < ' ' || c == '\uFFFD' {
			line[i] = ' '
		}
	}
	return string(line)
}
