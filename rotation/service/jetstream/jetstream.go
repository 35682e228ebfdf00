// Package jetstream is a sink that publishes events to a stream of NATS
// JetStream, as CloudEvents in structured JSON.
//
// # Subjects
//
// An event is published to the subject Prefix.xx, where xx are two hexadecimal
// digits from a hash of its card. So a stream has 256 subjects, however many
// cards there are (servers keep state in memory for each subject), a card's
// events are all on one of them, and subscribers can share the subjects without
// losing the order of any card.
//
// # Duplicates and order
//
// The header Nats-Msg-Id is the event's id: within its window (2 minutes by
// default) the stream drops duplicates. One event of a card is in flight at a
// time: the next one is published when the stream has acknowledged it. So no
// event overtakes a failed one. Different cards are published concurrently. An
// event that is retried after the window, for example after an outage in which
// the acknowledgement was lost, is stored in the stream twice.
//
// # Permissions
//
// If the server restricts its users, this one must be allowed to publish to
// Prefix.*, $JS.API.STREAM.INFO.Stream and $JS.API.STREAM.NAMES, to
// $JS.API.STREAM.CREATE.Stream with Options.Create, and to subscribe to
// _INBOX.>. A missing permission is in the error, after Timeout: the server does
// not respond.
package jetstream

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"cvvrotation/rotation/engine/event"
)

// Options are the settings of a Sink. The zero value is ready to use.
type Options struct {
	// Stream is the stream's name. Defaults to CARD_CVV.
	Stream string
	// Prefix is the beginning of the subjects. Defaults to event.Type.
	Prefix string

	// Create creates the stream if it does not exist.
	Create bool
	// Replicas is the number of replicas of a stream that is created.
	// Defaults to 1.
	Replicas int
	// KeepFor is how long a stream that is created keeps events. Defaults to
	// 7 days.
	KeepFor time.Duration

	// Timeout limits the wait for an acknowledgement. Defaults to 5s.
	Timeout time.Duration
}

// Sink publishes events. Make one with New.
type Sink struct {
	o    Options
	conn *nats.Conn
	js   jetstream.JetStream

	checking sync.Mutex
	checked  bool // the stream exists and has the subjects
}

// New returns a sink that publishes over a connection, which [Dial] makes and
// Close closes. It sends nothing: see Check. The error names the argument or
// option that is wrong.
func New(conn *nats.Conn, o Options) (*Sink, error) {
	o.Stream = cmp.Or(o.Stream, "CARD_CVV")
	o.Prefix = cmp.Or(o.Prefix, event.Type)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.KeepFor = cmp.Or(o.KeepFor, 7*24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
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

// Close closes the connection.
func (s *Sink) Close() error {
	s.js.CleanupPublisher()
	s.conn.Close()
	return nil
}
