package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/benbjohnson/clock"
	lib "modernc.org/sqlite/lib"
)

// busyTimeout is how long to wait for another process, in milliseconds.
const busyTimeout = 10_000

// SQLite before 3.51.3 can lose commits when its write-ahead log restarts. With such a
// version this does not compile.
const _ uint = lib.SQLITE_VERSION_NUMBER - 3_051_003

// Options are settings of a store. The zero value stands for the defaults.
type Options struct {
	// Clock is the store's time. Defaults to the system's clock.
	Clock clock.Clock
}

// Open opens the database in the file at path. It creates the file, readable for
// its owner alone, and brings the schema up to date.
//
// It returns an error that matches store.ErrSchema for a database of a newer
// version or of another program, and leaves such a file as it is.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	s, err := open(ctx, path, o.Clock)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, explain(err))
	}
	return s, nil
}

func open(ctx context.Context, path string, clk clock.Clock) (_ *Store, err error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("the path of a file is required")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	s := &Store{
		clk: clk, path: path,
		updates: make(chan *request), others: make(chan *request),
		closing: make(chan struct{}), stopped: make(chan struct{}),
		idle: make(chan *conn, readers),
	}
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	if err := create(path); err != nil {
		return nil, err
	}
	if s.writerLock, err = openFileLock(ctx, path+"-writer-lock", busyTimeout); err != nil {
		return nil, err
	}
	if err := s.setUp(ctx); err != nil {
		return nil, err
	}
	if err := syncLog(path); err != nil {
		return nil, err
	}
	for range readers {
		c, err := connect(ctx, dsn(path, forReader...))
		if err != nil {
			return nil, err
		}
		s.idle <- c
		if err := check(ctx, c, forReader); err != nil {
			return nil, err
		}
	}
	go s.runWriter()
	return s, nil
}

// abandon closes what a failed Open has opened.
func (s *Store) abandon() {
	close(s.idle)
	for c := range s.idle {
		c.Close()
	}
	if s.writer != nil {
		s.writer.Close()
	}
	if s.writerLock.conn != nil {
		s.writerLock.Close()
	}
}

// create creates an empty file that only its owner can read, unless the file exists.
// It never opens an existing file: closing it would release the locks that this
// process holds on it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// setUp opens the writing connection, checks that the database belongs to this
// package, migrates it and checks its settings. It holds the writer lock meanwhile.
func (s *Store) setUp(ctx context.Context) error {
	if err := s.writerLock.acquire(ctx); err != nil {
		return err
	}
	defer s.writerLock.release()
	var err error
	if s.writer, err = connect(ctx, dsn(s.path, forWriter...)); err != nil {
		return err
	}
	w := s.writer
	version, err := s.schemaVersion(ctx)
	if err != nil {
		return err
	}
	if err := w.script(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	for i, file := range migrations()[version:] {
		if err := migrate(ctx, w, file.Name(), version+i+1); err != nil {
			return fmt.Errorf("schema %s: %w", file.Name(), err)
		}
	}
	return check(ctx, w, append(forWriter[:len(forWriter):len(forWriter)], pragma{"journal_mode", "wal"}))
}

// syncLog syncs the write-ahead log and its folder. After a crash SQLite treats frames
// of the log as committed even if they were never synced, so this must happen before
// anything is read. A checkpoint would not do: a reader of another process can keep it
// from syncing, and it needs space on the disk. Closing the log releases no locks,
// because none are on it.
func syncLog(path string) error {
	path, err := filepath.EvalSymlinks(path) // as SQLite does
	if err != nil {
		return err
	}
	for _, name := range []string{path + "-wal", filepath.Dir(path)} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
