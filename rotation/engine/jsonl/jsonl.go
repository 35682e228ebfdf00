// Package jsonl is a sink that writes events as lines of JSON, to a file or to a
// stream such as standard output.
//
// In a file, an event is delivered when it is on disk: each batch is synced. A
// line that a crash left incomplete is removed when the file is opened. A file
// that was moved or deleted is created again for the next batch.
package jsonl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/appendfile"
	"cvvrotation/rotation/internal/arguments"
)

// ErrNotLines is returned by Open for a file that does not end with a line of
// JSON, or in which over 1 MiB follows the last complete line. Open leaves it
// unchanged.
var ErrNotLines = appendfile.ErrNotLines

// Sink writes events. Make one with New or Open. It is safe for concurrent use.
type Sink struct {
	file *appendfile.File // nil: a stream

	mu     sync.Mutex
	w      io.Writer
	buffer []byte
}

// New returns a sink that writes to a stream. An event is delivered when w has
// accepted it. A line that w accepted only in part is ended, and its event is
// delivered again. A write that blocks blocks the relay, even when it is to stop.
// It returns an error if w is nil.
func New(w io.Writer) (*Sink, error) {
	if arguments.Missing(w) {
		return nil, errors.New("jsonl: a writer is required")
	}
	return &Sink{w: &appendfile.Lines{W: w}}, nil
}

// Open returns a sink that appends to a file, and creates it, readable by its
// owner only, if it does not exist. No other process may append to it. Open
// removes an incomplete last line: its event was not delivered and will be
// repeated. It returns ErrNotLines for any other file.
func Open(path string) (*Sink, error) {
	f, err := appendfile.Open(path, appendfile.Options{Create: true, Exclusive: true})
	if err != nil {
		return nil, fmt.Errorf("jsonl: %w", err)
	}
	return &Sink{file: f, w: f}, nil
}

// Reopen opens the file at the path, after log rotation, and closes the old one.
// After an error the sink continues with the old one. For a stream it does
// nothing.
func (s *Sink) Reopen() error {
	if s.file == nil {
		return nil
	}
	return s.file.Reopen()
}

// Deliver implements outbox.Sink. A batch is one write and one sync.
func (s *Sink) Deliver(ctx context.Context, events []store.Queued) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(events))
	b := s.buffer[:0]
	ends := make([]int, len(events)) // of each event in b
	failed := map[string]bool{}      // cards
	for i, e := range events {
		switch {
		case failed[e.Card]:
			errs[i] = outbox.ErrNotTried
		case bytes.ContainsAny(e.Payload, "\r\n"):
			errs[i], failed[e.Card] = errors.New("jsonl: the event is more than one line"), true
		default:
			b = append(append(b, e.Payload...), '\n')
		}
		ends[i] = len(b)
	}
	s.buffer = b
	written, err := 0, ctx.Err()
	if err == nil {
		written, err = s.w.Write(b)
	}
	if err != nil {
		for i := range events {
			if errs[i] == nil && ends[i] > written {
				errs[i] = &outbox.Unavailable{Err: fmt.Errorf("jsonl: %w", err)}
			}
		}
	}
	return errs
}

// Close closes the file. A stream stays open.
func (s *Sink) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
