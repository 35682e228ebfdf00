// Package appendfile appends lines of JSON to a file that may be moved, deleted or
// replaced by log rotation, that may fill its disk, and that a power cut may have
// torn.
package appendfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrNotLines is returned by Open for an exclusive file that does not end with a
// line of JSON, or in which over 1 MiB follows the last complete line: a power cut
// leaves less, unless a write was larger. Open leaves the file unchanged.
var ErrNotLines = errors.New("the last 1 MiB of the file do not end with a JSON object on a line of its own: name another file")

// maxTail is how much of the file's end Open checks and repairs, in bytes.
const maxTail = 1 << 20

// Options are the settings of a File.
type Options struct {
	// Create creates the file if it does not exist, readable by its owner
	// only. Without it a missing file is an error.
	Create bool
	// Exclusive says that no other process appends to the file. A write is
	// then synced, and complete or undone; Open removes an incomplete last
	// line. Processes that share a file lock it (flock) for each write, which
	// is not synced. A write first ends an incomplete last line of any process.
	// A shared file must be readable, unless it is a pipe or a device.
	Exclusive bool
	// Leave is called with a shared regular file before it is closed, because the
	// path is another file now. The file is locked, unless another process has
	// locked it. Defaults to none.
	Leave func(old *os.File)
	// LockWait is how long a write to a shared file waits for the lock. A process
	// that may only read the file can hold it for any time. After a write that
	// timed out, others do not wait, until one gets the lock. Defaults to 2s.
	LockWait time.Duration
}

// ErrLocked is returned for a write to a shared file that another process has locked.
var ErrLocked = errors.New("another process has locked the file")

// File is a file that lines are appended to. It is safe for concurrent use.
type File struct {
	path string
	o    Options

	mu      sync.Mutex
	file    *os.File // nil: closed
	shared  Lines    // writes to file
	regular bool     // file can be read and locked
	blocked bool     // the last write did not get the lock
}

// Open opens a file.
func Open(path string, o Options) (*File, error) {
	o.LockWait = cmp.Or(o.LockWait, 2*time.Second)
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
	flags := os.O_APPEND
	if f.o.Create {
		flags |= os.O_CREATE
	}
	regular, access := true, os.O_RDWR
	if info, err := os.Stat(f.path); err == nil && !f.o.Exclusive {
		if regular = info.Mode().IsRegular(); !regular {
			access = os.O_WRONLY // a pipe opened for reading would never break
		}
	}
	file, err := os.OpenFile(f.path, flags|access, 0o600)
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
		f.leave(file)
		f.file.Close()
	}
	f.file, f.shared, f.regular = file, Lines{W: file}, regular
	return nil
}

// leave calls Options.Leave, unless the new file is the open one.
func (f *File) leave(file *os.File) {
	if f.o.Leave == nil || !f.regular {
		return
	}
	before, err := f.file.Stat()
	after, err2 := file.Stat()
	if err == nil && err2 == nil && os.SameFile(before, after) {
		return
	}
	if unlock, err := f.lock(); err == nil {
		defer unlock()
	}
	f.o.Leave(f.file)
}

// Write appends whole lines. It returns how many bytes of b are in the file: of
// an exclusive file all or none. If the file was moved or deleted, or another one
// was renamed over it, it opens the path first.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.find(); err != nil {
		return 0, err
	}
	if !f.o.Exclusive {
		return f.writeShared(func(*os.File) ([]byte, error) { return b, nil })
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

// Append writes to a shared file, as Write does, what lines returns. It calls lines
// while the file is locked, with the file itself, whose end lines may read, or with nil
// for a pipe or a device. It returns the error of lines, or of the write.
func (f *File) Append(lines func(*os.File) ([]byte, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.find(); err != nil {
		return err
	}
	_, err := f.writeShared(lines)
	return err
}

// find opens the path if the open file is not where lines are looked for.
func (f *File) find() error {
	switch {
	case f.file == nil:
		return os.ErrClosed
	case f.lost():
		return f.open()
	}
	return nil
}

// lost reports whether lines would go where they are not looked for: the path has
// no file, or the open file has no name any more, because another was renamed over
// it. A file that log rotation has renamed is still good until Reopen.
func (f *File) lost() bool {
	if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	info, err := f.file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0 && info.Mode().IsRegular()
}

// writeShared checks the file's end and writes under a lock, because the end is
// also incomplete while another process writes. Where the file system has no locks,
// it writes all the same: a blank line is better than a lost record.
func (f *File) writeShared(lines func(*os.File) ([]byte, error)) (int, error) {
	var regular *os.File
	if f.regular {
		regular = f.file
		unlock, err := f.lock()
		if err != nil {
			return 0, &fs.PathError{Op: "write", Path: f.path, Err: err}
		}
		defer unlock()
		f.shared.torn = torn(f.file)
	}
	b, err := lines(regular)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	return f.shared.Write(b)
}

// lock locks the open file, if its file system can, until unlock is called. The error
// is ErrLocked.
func (f *File) lock() (unlock func(), err error) {
	wait := f.o.LockWait
	if f.blocked {
		wait = 0
	}
	deadline := time.Now().Add(wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := flock(f.file, syscall.LOCK_EX|syscall.LOCK_NB)
		if f.blocked = errors.Is(err, syscall.EWOULDBLOCK); !f.blocked {
			return func() { flock(f.file, syscall.LOCK_UN) }, nil
		}
		if time.Now().After(deadline) {
			return nil, ErrLocked
		}
		time.Sleep(pause)
	}
}

func flock(file *os.File, how int) error {
	for {
		if err := syscall.Flock(int(file.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
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

// torn reports whether the file's last line is incomplete.
func torn(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
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
	from := max(info.Size()-maxTail, 0)
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
	foreign := !bytes.HasPrefix(last, []byte("{")) || begin == len(whole) && !json.Valid(last)
	switch {
	case len(lines) > 0 && foreign || begin == 0 && from > 0:
		return ErrNotLines
	case begin == len(tail):
		return nil
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
