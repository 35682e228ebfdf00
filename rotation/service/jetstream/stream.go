package jetstream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"cvvrotation/rotation/engine/outbox"
)

// Check asks the server whether the stream exists and has the sink's subjects. With
// Options.Create it creates the stream. Deliver calls it until it succeeds, so that
// a program can start while NATS is down. The error matches outbox.ErrUnavailable.
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
		return s.explained(nats.ErrDisconnected) // immediately, instead of after the timeout
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
		return fmt.Errorf("it does not have the subjects %s.*", s.o.Prefix)
	}
	return s.explained(err)
}

// explained adds the cause to an error that reports only a missing connection or
// response: the server reports a missing permission apart from the call.
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

// subject returns the subject of a card's events.
func (s *Sink) subject(card string) string {
	h := fnv.New32a()
	h.Write([]byte(card))
	return fmt.Sprintf("%s.%02x", s.o.Prefix, h.Sum32()&0xff)
}
