package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
)

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

// forWriter and forReader are set on the writing and the reading connections. In
// BenchmarkDue a checkpoint every 8,000 pages was as fast as one every 32,000, and
// faster than one every 1,000.
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

// dsn returns the driver's name of a file with settings.
func dsn(path string, pragmas ...pragma) string {
	query := url.Values{}
	for _, p := range pragmas {
		query.Add("_pragma", fmt.Sprintf("%s(%v)", p.name, p.value))
	}
	return "file://" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + query.Encode()
}

// check reads settings back, because SQLite silently ignores those that it cannot
// apply.
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
