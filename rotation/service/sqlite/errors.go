package sqlite

import (
	"errors"
	"fmt"
	"strings"

	lib "modernc.org/sqlite/lib"

	"modernc.org/sqlite"
)

// hints say what an operator can do about errors of SQLite.
var hints = map[int]string{
	lib.SQLITE_FULL:     "the disk is full, or the file may not grow: make room",
	lib.SQLITE_BUSY:     "another process has locked the database for too long: find and stop it",
	lib.SQLITE_READONLY: "the file or its folder is not writable: change the permissions",
	lib.SQLITE_CANTOPEN: "the file cannot be opened or created: check the path and the permissions of its folder",
	lib.SQLITE_NOTADB:   "the file is not a SQLite database: give another path, or restore a backup",
	lib.SQLITE_CORRUPT:  "the database is damaged: restore a backup",
	lib.SQLITE_IOERR:    "input/output error of the disk: check the system log",
}

// explain adds the hint to an error of SQLite.
func explain(err error) error {
	hint, ok := hints[resultCode(err)]
	if !ok || strings.Contains(err.Error(), hint) {
		return err
	}
	return fmt.Errorf("%s (%w)", hint, err)
}

// resultCode returns SQLite's primary result code, 0 if err is not an error of SQLite.
func resultCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
