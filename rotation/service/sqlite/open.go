package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/benbjohnson/clock"
	lib "modernc.org/sqlite/lib"

	"cvvrotation/rotation/engine/store"
)

const (
	// application marks a database as one of this package ("CVVR").
	application = 0x43565652
	// busyTimeout is how long to wait for another process, in milliseconds.
	busyTimeout = 10_000
)

// SQLite before 3.51.3 can lose what was committed, when its write-ahead log
// starts over. With such a version this does not compile.
const _ uint = lib.SQLITE_VERSION_NUMBER - 3_051_003

//go:embed migrations/*.sql
var schema embed.FS

// pragma is a setting of a connection.
type pragma struct {
	name  string
	value any
}

// always is set on every connection to the database.
var always = []pragma{
	{"busy_timeout", busyTimeout},
	{"synchronous", 2}, // FULL
	{"trusted_schema", 0},
	{"temp_store", 2}, // memory
}

// forWriter and forReader are what else is set. In BenchmarkDue a checkpoint
// every 8,000 or 32,000 pages was about the same, and every 1,000 slower.
var (
	forWriter = append(always[:len(always):len(always)],
		pragma{"cache_size", -64 << 10},     // KiB
		pragma{"wal_autocheckpoint", 8_000}, // pages
		pragma{"journal_size_limit", 64 << 20},
	)
	forReader = append(always[:len(always):len(always)],
		pragma{"cache_size", -8 << 10},
		pragma{"query_only", 1},
	)
)

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
	if s.turn, err = openLock(ctx, path+"-turn", busyTimeout); err != nil {
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
	go s.write()
	return s, nil
}

// abandon closes what an Open that failed has opened.
func (s *Store) abandon() {
	close(s.idle)
	for c := range s.idle {
		c.Close()
	}
	if s.writer != nil {
		s.writer.Close()
	}
	if s.turn.conn != nil {
		s.turn.Close()
	}
}

// create creates an empty file that only its owner can read, unless there is a
// file. One that is there is never opened: closing it would end the locks that
// this process has on it.
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

// dsn names a file and settings to the driver.
func dsn(path string, pragmas ...pragma) string {
	query := url.Values{}
	for _, p := range pragmas {
		query.Add("_pragma", fmt.Sprintf("%s(%v)", p.name, p.value))
	}
	return "file://" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + query.Encode()
}

// setUp opens the connection that writes, and sees to it that the database is
// one of ours, that it is of this schema, and that it keeps what it is given.
// Other processes wait meanwhile.
func (s *Store) setUp(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.leave()
	var err error
	if s.writer, err = connect(ctx, dsn(s.path, forWriter...)); err != nil {
		return err
	}
	w := s.writer
	files, err := schema.ReadDir("migrations")
	if err != nil {
		return err
	}
	version, err := s.schemaVersion(ctx, len(files))
	if err != nil {
		return err
	}
	if err := w.script(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	for i := version; i < len(files); i++ {
		if err := migrate(ctx, w, files[i].Name(), i+1); err != nil {
			return fmt.Errorf("schema %s: %w", files[i].Name(), err)
		}
	}
	return check(ctx, w, append(forWriter[:len(forWriter):len(forWriter)], pragma{"journal_mode", "wal"}))
}

// syncLog syncs the write-ahead log and its name. What a process had written when it
// was killed, SQLite takes for committed, synced or not; so this comes before anybody
// is told of it. A checkpoint would not do: it syncs nothing while a reader elsewhere
// keeps it from copying, and wants room on the disk. On the log nobody has locks that
// closing it would end.
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

// schemaVersion returns the version of the database's schema, 0 for a new
// database, and an error if it is above latest or the database is not ours.
func (s *Store) schemaVersion(ctx context.Context, latest int) (int, error) {
	var app, version, tables int64
	if err := s.writer.query(ctx, func(r *row) error {
		app, version, tables = r.int(), r.int(), r.int()
		return nil
	}, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`); err != nil {
		return 0, err
	}
	switch {
	case app != application && (app != 0 || version != 0 || tables != 0):
		return 0, fmt.Errorf("%w: it belongs to another program; give the path of a new file", store.ErrSchema)
	case version > int64(latest):
		return 0, fmt.Errorf("%w: it has version %d, and this program knows those up to %d; run the newer program, or restore the backup made before it",
			store.ErrSchema, version, latest)
	}
	return int(version), nil
}

// migrate runs one file of the schema, all or nothing.
func migrate(ctx context.Context, c *conn, file string, version int) error {
	statements, err := schema.ReadFile("migrations/" + file)
	if err != nil {
		return err
	}
	err = c.script(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		statements, application, version))
	if err != nil {
		_ = c.script(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// check reads settings back: SQLite passes over those that it can't obey.
func check(ctx context.Context, c *conn, pragmas []pragma) error {
	for _, p := range pragmas {
		want, got := fmt.Sprint(p.value), ""
		if err := c.query(ctx, func(r *row) error {
			switch v := r.values[0].(type) {
			case int64:
				got = strconv.FormatInt(v, 10)
			case string:
				got = v
			}
			return nil
		}, "PRAGMA "+p.name); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("the setting %s is %q, not %q: is the file on a local disk?", p.name, got, want)
		}
	}
	return nil
}

// hints say what to do about errors of SQLite that have their cause outside.
var hints = map[int]string{
	lib.SQLITE_FULL:     "the disk is full, or the file may not grow: make room",
	lib.SQLITE_BUSY:     "another process has kept the database locked for too long: find it and end it",
	lib.SQLITE_READONLY: "the file or its folder can't be written: change the permissions",
	lib.SQLITE_CANTOPEN: "the file can't be opened or created: look at the path and the permissions of its folder",
	lib.SQLITE_NOTADB:   "the file is not a SQLite database: give another path, or restore a backup",
	lib.SQLITE_CORRUPT:  "the database is damaged: restore a backup",
	lib.SQLITE_IOERR:    "the disk fails: look at the system's log",
}

// explain adds what to do.
func explain(err error) error {
	hint, ok := hints[resultCode(err)]
	if !ok || strings.Contains(err.Error(), hint) {
		return err
	}
	return fmt.Errorf("%s (%w)", hint, err)
}
