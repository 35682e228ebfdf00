package sqlite

import (
	"errors"
	"regexp"

	lib "modernc.org/sqlite/lib"

	"modernc.org/sqlite"

	"cvvrotation/rotation/engine/store"
)

// classes has what an operator can do about errors of SQLite, and the class of those
// that a retry may end.
var classes = map[int]struct {
	class error // nil: a retry does not help
	hint  string
}{
	lib.SQLITE_FULL:     {store.ErrReadOnly, "the disk is full, or the file may not grow: make room"},
	lib.SQLITE_BUSY:     {store.ErrReadOnly, "another process has locked the database for too long: find and stop it"},
	lib.SQLITE_READONLY: {store.ErrReadOnly, "the file or its folder is not writable: change the permissions"},
	lib.SQLITE_CANTOPEN: {store.ErrUnavailable, "the file cannot be opened or created: check the path and the permissions of its folder"},
	lib.SQLITE_NOTADB:   {nil, "the file is not a SQLite database: give another path, or restore a backup"},
	lib.SQLITE_CORRUPT:  {nil, "the database is damaged: restore a backup"},
	lib.SQLITE_IOERR:    {store.ErrUnavailable, "input/output error of the disk: check the system log"},
	lib.SQLITE_NOMEM:    {store.ErrUnavailable, "not enough memory"},
}

// explained is an error of SQLite with its class and its hint.
type explained struct {
	class, err error
	hint       string
}

func (e *explained) Error() string   { return e.hint + " (" + e.err.Error() + ")" }
func (e *explained) Unwrap() []error { return []error{e.class, e.err} }

// explain adds its class and a hint to an error of SQLite.
func explain(err error) error {
	if e, ok := errors.AsType[*explained](err); ok && e != nil {
		return err
	}
	code := resultCode(err)
	if c, ok := classes[code]; ok {
		return &explained{c.class, err, c.hint}
	}
	if code == lib.SQLITE_ERROR && undefined.MatchString(err.Error()) {
		return &explained{store.ErrSchema, err, "the schema of the database was changed: restore it"}
	}
	return err
}

// undefined is in the message of an error that has no code of its own.
var undefined = regexp.MustCompile("no such (table|column)|has no column named")

// resultCode returns SQLite's primary result code, 0 if err is not an error of SQLite.
func resultCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
