// Package appendfile appends lines of JSON to a file that may be moved, deleted or
// replaced by log rotation, that may fill its disk, and that a power cut may have
// torn.
package appendfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// ErrNotLines is returned by Open for an exclusive file that does not end with a
// line of JSON. Open leaves it unchanged.
var ErrNotLines = errors.New("the file does not end with a JSON object on a line of its own: name another file")

// maxLine is the length of the longest line that Open repairs, in bytes.
const maxLine = 1 << 20

// Options are the settings of a File.
type Options struct {
	// Create creates the file if it does not exist, readable by its owner
	// only. Without it a missing file is an error.
	Create bool
	// Exclusive says that no other process appends to the file. A write is
	// then synced, and complete or undone; Open removes an incomplete last
	// line. A shared file is written with one system call a write and not
	// synced; an incomplete line, of any process, is ended before the next
	// one.
	Exclusive bool
}

// File is a file that lines are appended to. It is safe for concurrent use.
type File struct {
	path string
	o    Options

	mu    sync.Mutex
	file  *os.File // nil: closed
	lines Lines    // of a shared file
}

// Open opens a file.
func Open(path string, o Options) (*File, error) {
	f := &File{path: path, o: o}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reopen opens the file at the path, after log rotation, and closes the old one.
// After an error it continues with the old one.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return os.ErrClosed
	}
	return f.open()
}

func (f *File) open() error {
	flags := os.O_APPEND | os.O_WRONLY
	if f.o.Exclusive {
		flags = os.O_APPEND | os.O_RDWR
	}
	if f.o.Create {
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(f.path, flags, 0o600)
	if err != nil {
		return err
	}
	if f.o.Exclusive {
		if err := errors.Join(repair(file), syncFolder(f.path)); err != nil {
			file.Close()
			return &fs.PathError{Op: "open", Path: f.path, Err: err}
		}
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.lines = file, Lines{W: file, torn: !f.o.Exclusive && torn(f.path)}
	return nil
}

// Write appends whole lines. It returns how many bytes of b are in the file: of
// an exclusive file all or none. If the file was moved or deleted, it opens the
// path first.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return 0, os.ErrClosed
	}
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) { // otherwise lines would go to a deleted file
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if !f.o.Exclusive {
		return f.lines.Write(b)
	}
	info, err := f.file.Stat()
	if err != nil {
		return 0, err
	}
	if _, err = f.file.Write(b); err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return 0, errors.Join(err, f.file.Truncate(info.Size()))
	}
	return len(b), nil
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// Lines writes whole lines to a stream. After a write that failed halfway it ends
// the incomplete line before the next one.
type Lines struct {
	W    io.Writer
	torn bool
}

// Write returns how many bytes of b the stream accepted.
func (l *Lines) Write(b []byte) (int, error) {
	extra := 0
	if l.torn {
		b, extra = append([]byte{'\n'}, b...), 1
	}
	n, err := l.W.Write(b)
	if n > 0 {
		l.torn = b[n-1] != '\n'
	}
	return max(n-extra, 0), err
}

// torn reports whether the file's last line is incomplete. It reports false for a
// file that is not regular or cannot be read.
func torn(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}

// repair makes file end with a complete line.
func repair(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	from := max(info.Size()-maxLine, 0)
	tail := make([]byte, info.Size()-from)
	if _, err := file.ReadAt(tail, from); err != nil {
		return err
	}
	// A power cut may keep the end of a write and lose its beginning, which then
	// reads as zeros. That write was not synced, so its writer will repeat it.
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
		_, err = file.Write([]byte{'\n'})
	default:
		err = file.Truncate(from + int64(begin))
	}
	return errors.Join(err, file.Sync())
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
