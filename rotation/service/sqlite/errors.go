package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

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

// resultCode returns SQLite's primary result code, 0 if err is none of its
// errors.
func resultCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
