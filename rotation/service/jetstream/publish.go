// Package jetstream is a sink that publishes events to a stream of NATS
// JetStream, as CloudEvents in structured JSON.
//
// # Subjects
//
// An event goes to the subject Prefix.xx, where xx are two hexadecimal digits
// from a hash of its card. So a stream has 256 subjects, however many cards there
// are (servers keep something in memory for each subject), a card's events are
// all on one of them, and subscribers can share the subjects without losing the
// order of any card.
//
// # Once and in order
//
// The header Nats-Msg-Id is the event's id: within its window (2 minutes, unless
// the stream says otherwise) the stream drops what comes again. Of a card, one
// event is on its way at a time: the next one is published when the stream has
// acknowledged it. So a failure never lets a later one overtake. Different cards
// are published at the same time. What comes again after the window, as after an
// outage in which an acknowledgement was lost, is in the stream twice.
//
// # Permissions
//
// Where the server restricts its users, this one must be allowed to publish to
// Prefix.*, $JS.API.STREAM.INFO.Stream and $JS.API.STREAM.NAMES, to
// $JS.API.STREAM.CREATE.Stream where Options say Create, and to subscribe to
// _INBOX.>. What is missing is in the error, after Timeout: the server answers
// nothing.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// Options is what a Sink works with.
type Options struct {
	Stream string // the stream's name; "": CARD_CVV
	Prefix string // of subjects; "": card.cvv.changed.v1

	Create   bool          // make the stream if it is not there
	Replicas int           // of a stream that is made; 0: 1
	KeepFor  time.Duration // how long a stream that is made keeps events; 0: 7 days

	Timeout time.Duration // for the acknowledgement of an event; 0: 5s
}

// Sink publishes events. Make one with New.
type Sink struct {
	o    Options
	conn *nats.Conn
	js   jetstream.JetStream

	checking sync.Mutex
	checked  bool // the stream is there
}

// New returns a sink that publishes over a connection, which [Dial] makes and
// Close closes. It sends nothing: see Check. The error says which option is
// wrong.
func New(conn *nats.Conn, o Options) (*Sink, error) {
	setDefault(&o.Stream, "CARD_CVV")
	setDefault(&o.Prefix, "card.cvv.changed.v1")
	setDefault(&o.Replicas, 1)
	setDefault(&o.KeepFor, 7*24*time.Hour)
	setDefault(&o.Timeout, 5*time.Second)
	switch {
	case conn == nil:
		return nil, errors.New("jetstream: a connection is required")
	case strings.ContainsAny(o.Prefix, "*> \t\r\n") || slices.Contains(strings.Split(o.Prefix, "."), ""):
		return nil, errors.New("jetstream: Prefix must be a subject without wildcards, such as card.cvv")
	case o.Replicas < 0 || o.KeepFor < 0 || o.Timeout < 0:
		return nil, errors.New("jetstream: Replicas, KeepFor and Timeout must not be negative")
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(o.Timeout), jetstream.WithDefaultTimeout(o.Timeout))
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return &Sink{o: o, conn: conn, js: js}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close closes the connection.
func (s *Sink) Close() error {
	s.js.CleanupPublisher()
	s.conn.Close()
	return nil
}

// Check asks the server whether the stream is there and takes our subjects, and
// makes it if Options say so. Deliver does so too, until it succeeds: a program
// may start while its NATS is down. The error matches outbox.ErrUnavailable.
func (s *Sink) Check(ctx context.Context) error {
	s.checking.Lock()
	defer s.checking.Unlock()
	if s.checked {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	if err := s.findStream(ctx); err != nil {
		return &outbox.Unavailable{Err: fmt.Errorf("jetstream: stream %s: %w", s.o.Stream, err)}
	}
	s.checked = true
	return nil
}

func (s *Sink) findStream(ctx context.Context) error {
	if !s.conn.IsConnected() {
		return s.explained(nats.ErrDisconnected) // at once, and not after the timeout
	}
	_, err := s.js.Stream(ctx, s.o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && s.o.Create {
		_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: s.o.Stream, Subjects: []string{s.o.Prefix + ".*"}, Storage: jetstream.FileStorage,
			Replicas: s.o.Replicas, MaxAge: s.o.KeepFor,
		})
	}
	if err != nil {
		return s.explained(err)
	}
	name, err := s.js.StreamNameBySubject(ctx, s.subject("any"))
	if err == nil && name != s.o.Stream || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("it does not take the subjects %s.*", s.o.Prefix)
	}
	return s.explained(err)
}

// explained adds why there is no connection, or no answer, to an error that says
// only this: the server tells apart from the call that we may not make it.
func (s *Sink) explained(err error) error {
	if err == nil {
		return nil
	}
	why := s.conn.LastError()
	switch {
	case !s.conn.IsConnected():
		err = nats.ErrDisconnected
	case !errors.Is(why, nats.ErrPermissionViolation) || !errors.Is(err, jetstream.ErrAsyncPublishTimeout) && !errors.Is(err, context.DeadlineExceeded):
		return err
	}
	if why == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, why)
}

// subject returns where the events of a card go.
func (s *Sink) subject(card string) string {
	h := fnv.New32a()
	h.Write([]byte(card))
	return fmt.Sprintf("%s.%02x", s.o.Prefix, h.Sum32()&0xff)
}

// Deliver implements outbox.Sink: in rounds, with one event of each card in each.
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

// wait waits for the acknowledgement; that of a duplicate is as good as any.
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

// failure tells what is the event's fault, which is its size alone, from all else.
func (s *Sink) failure(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum {
		return fmt.Errorf("jetstream: %w: %w", outbox.ErrRejected, err)
	}
	s.checking.Lock()
	s.checked = false // perhaps somebody has deleted it
	s.checking.Unlock()
	return &outbox.Unavailable{Err: fmt.Errorf("jetstream: %w", s.explained(err))}
}
