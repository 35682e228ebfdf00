// Package jsonl is a sink that writes events as lines of JSON, to a file or to a
// stream such as standard output.
//
// In a file, an event counts as delivered when it is on the disk: each batch is
// synced. What a crash left of a line is healed when the file is opened. A file
// that was moved away or deleted is made anew for the next batch.
package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// ErrNotLines is for a file that ends with something else than a line of JSON. It
// is left as it is.
var ErrNotLines = errors.New("the file does not end with a JSON object on a line of its own: name another file")

// maxLine is the longest line that can be healed, in bytes.
const maxLine = 1 << 20

// Sink writes events. Make one with New or Open. It is safe for concurrent use.
type Sink struct {
	path string // of a file; empty: a stream

	mu     sync.Mutex
	w      io.Writer
	file   *os.File // nil: a stream, or closed
	torn   bool     // a stream's line has no end yet
	buffer []byte
}

// New returns a sink that writes to w, which is a stream: what w has taken counts
// as delivered. A line that w took in part is ended, and its event comes again. A
// write that blocks blocks the relay, also when it is to stop.
func New(w io.Writer) *Sink { return &Sink{w: w} }

// Open returns a sink that appends to a file, which it makes, readable for its
// owner only, if it is not there. A line that a crash has cut short is taken
// away: its event was not delivered and will come again. The error may match
// ErrNotLines.
func Open(path string) (*Sink, error) {
	s := &Sink{path: path}
	if err := s.Reopen(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reopen opens the file by its name again, after it was replaced, and closes the
// one before; for a stream it does nothing. After an error the sink goes on with
// the one before.
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		return nil
	}
	return s.open()
}

// open opens the file by its name, with the mutex held.
func (s *Sink) open() error {
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("jsonl: %w", err)
	}
	if err := errors.Join(heal(f), syncFolder(s.path)); err != nil {
		f.Close()
		return fmt.Errorf("jsonl: %s: %w", s.path, err)
	}
	if s.file != nil {
		s.file.Close() // all that was written is synced
	}
	s.file, s.w = f, f
	return nil
}

// heal makes f end with a whole line.
func heal(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	from := max(info.Size()-maxLine, 0)
	tail := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return err
	}
	// A power cut may keep the end of a write and lose what is before it, which then
	// reads as zeros. That write was not synced, so all of it will come again.
	whole, hole := tail, bytes.IndexByte(tail, 0)
	if hole >= 0 {
		whole = tail[:hole]
	}
	begin := bytes.LastIndexByte(whole, '\n') + 1
	lines := bytes.TrimSuffix(whole, []byte("\n"))
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	switch {
	case begin == len(tail):
		return nil
	case len(last) > 0 && last[0] != '{' || begin == 0 && from > 0:
		return ErrNotLines
	case hole < 0 && json.Valid(last): // only its end is missing
		_, err = f.Write([]byte{'\n'})
	default:
		err = f.Truncate(from + int64(begin))
	}
	return errors.Join(err, f.Sync())
}

// syncFolder makes the name of a new file durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Deliver implements outbox.Sink. A batch is one write and one sync.
func (s *Sink) Deliver(ctx context.Context, events []store.Queued) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(events))
	b := s.buffer[:0]
	if s.torn {
		b = append(b, '\n')
	}
	ends := make([]int, len(events)) // of each event in b
	for i, e := range events {
		if bytes.ContainsAny(e.Payload, "\r\n") {
			errs[i] = fmt.Errorf("jsonl: %w: the event is more than one line", outbox.ErrRejected)
		} else {
			b = append(append(b, e.Payload...), '\n')
		}
		ends[i] = len(b)
	}
	s.buffer = b
	written, err := 0, ctx.Err()
	if err == nil {
		written, err = s.write(b)
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

// write writes b, to a file all or nothing, and returns how many bytes are to stay.
func (s *Sink) write(b []byte) (int, error) {
	switch {
	case s.path == "":
		n, err := s.w.Write(b)
		if n > 0 {
			s.torn = b[n-1] != '\n'
		}
		return n, err
	case s.file == nil:
		return 0, os.ErrClosed
	}
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) { // else a deleted file would swallow events
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	if _, err = s.file.Write(b); err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return 0, errors.Join(err, s.file.Truncate(info.Size()))
	}
	return len(b), nil
}

// Close closes the file; a stream stays open.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
