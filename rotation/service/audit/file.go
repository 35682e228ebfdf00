package audit

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/internal/appendfile"
)

// FileOptions are the settings of a File. The zero value uses the defaults.
type FileOptions struct {
	// Create creates the file if it does not exist, readable by its owner only.
	// Without it a missing file is an error.
	Create bool
	// Clock dates the records that the File writes itself. Defaults to the system
	// clock.
	Clock clock.Clock
}

// File appends audit records to a file and chains them: each record ends with its
// Position, whose hash covers the record and the hash of the previous one. It is an
// io.Writer for slog.NewJSONHandler and safe for concurrent use.
//
// Any number of processes may append to one file. Each locks it (flock), reads where
// its chain ends, and appends. After log rotation each file has a chain of its own. A
// process that moves on to a new file first appends a record of OperationContinueLog,
// which names the last record of the old file.
//
// A pipe or a device has no chain: records are written as they are.
type File struct {
	file  *appendfile.File
	clock clock.Clock

	mu       sync.Mutex
	last     Position // the newest that this File has seen in the open file
	previous Position // the last record of the previous file, until the open file names it
}

// OpenFile opens an audit file. A regular file must be readable and writable.
func OpenFile(path string, o FileOptions) (*File, error) {
	f := &File{clock: cmp.Or(o.Clock, clock.New())}
	var err error
	f.file, err = appendfile.Open(path, appendfile.Options{Create: o.Create, Leave: f.leave})
	return f, err
}

// leave remembers where the old file ends.
func (f *File) leave(old *os.File) {
	if p, err := endOf(old); err == nil && p.Seq > 0 {
		f.previous = p
	}
	f.last = Position{}
}

func endOf(file *os.File) (Position, error) {
	info, err := file.Stat()
	if err != nil {
		return Position{}, err
	}
	return lastPosition(file, info.Size())
}

// Write appends a record, which is one line of JSON. After an error the end of the
// file may hold a part of it; the next record continues the chain before that part.
func (f *File) Write(record []byte) (int, error) {
	if _, _, err := f.append(record); err != nil {
		return 0, err
	}
	return len(record), nil
}

// Reopen opens the file at the path, after log rotation. After an error it continues
// with the old one.
func (f *File) Reopen() error {
	f.mu.Lock()
	err := f.file.Reopen()
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.append(nil) // a failure is not final: the next record tries again
	return nil
}

// Position returns the position of the last record in the file. It returns false for a
// pipe or a device.
func (f *File) Position() (p Position, chained bool, err error) { return f.append(nil) }

// Close closes the file. Write then returns an error that matches os.ErrClosed.
func (f *File) Close() error { return f.file.Close() }

// append appends a record, or none, and before it the record of the previous file if
// that is due. It returns the end of the chain, and false if there is no chain.
func (f *File) append(record []byte) (end Position, chained bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.file.Append(func(file *os.File) ([]byte, error) {
		if chained = file != nil; !chained {
			return record, nil
		}
		var err error
		if end, err = endOf(file); err != nil {
			return nil, err
		}
		if end.Seq < f.last.Seq { // truncated, after a copy of it was made
			f.previous, f.last = f.last, Position{}
		}
		var lines []byte
		for _, one := range [][]byte{f.continued(), record} {
			if one == nil {
				continue
			}
			line, next, err := end.next(one)
			if err != nil {
				return nil, err
			}
			lines, end = append(lines, line...), next
		}
		return lines, nil
	})
	if err == nil {
		f.last, f.previous = end, Position{}
	}
	return end, chained, err
}

// continued returns the record that names the previous file's end, or nil.
func (f *File) continued() []byte {
	if f.previous.Seq == 0 {
		return nil
	}
	var b bytes.Buffer
	r := Record{Operation: OperationContinueLog, Outcome: OutcomeDone, Previous: f.previous}
	r.Write(context.Background(), slog.New(slog.NewJSONHandler(&b, nil)), f.clock.Now()) // to memory
	return b.Bytes()
}
