package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// Deliver implements outbox.Sink. It publishes in rounds of one event a card.
func (s *Sink) Deliver(ctx context.Context, events []store.Queued) []error {
	errs := make([]error, len(events))
	if err := s.Check(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	cards := outbox.ByCard(events)
	acks := make([]jetstream.PubAckFuture, len(events))
	for round := 0; len(cards) > 0; round++ {
		for _, card := range cards {
			i := card[round]
			acks[i], errs[i] = s.publish(ctx, events[i])
		}
		cards = slices.DeleteFunc(cards, func(card []int) bool {
			i, later := card[round], card[round+1:]
			if errs[i] == nil {
				errs[i] = s.wait(ctx, acks[i])
			}
			if errs[i] == nil {
				return len(later) == 0
			}
			for _, i := range later {
				errs[i] = outbox.ErrNotTried
			}
			return true
		})
	}
	return errs
}

func (s *Sink) publish(ctx context.Context, e store.Queued) (jetstream.PubAckFuture, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ack, err := s.js.PublishMsgAsync(&nats.Msg{
		Subject: s.subject(e.Card),
		Data:    e.Payload,
		Header: nats.Header{
			jetstream.MsgIDHeader:          {e.ID()},
			jetstream.ExpectedStreamHeader: {s.o.Stream},
			"content-type":                 {event.ContentType},
		},
	}, jetstream.WithRetryAttempts(0))
	return ack, s.failure(err)
}

// wait waits for the acknowledgement. One of a duplicate counts as well.
func (s *Sink) wait(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return s.failure(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure treats the stream as unavailable, unless the event alone is too large.
func (s *Sink) failure(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum {
		return fmt.Errorf("jetstream: the event is too large: %w", err)
	}
	s.checking.Lock()
	s.checked = false // it may have been deleted
	s.checking.Unlock()
	return &outbox.Unavailable{Err: fmt.Errorf("jetstream: %w", s.explained(err))}
}
