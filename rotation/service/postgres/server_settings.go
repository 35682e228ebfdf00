package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// parameters are sent when a connection is made, unless the URL sets them: what
// a server or a role has set for others does not count.
//
// Every statement here is meant to go through an index, and none is planned
// anew for its parameters. A plan that turns into a scan of the whole table
// because statistics are stale is how queues in a database die.
var parameters = map[string]string{
	"application_name":                    "cvvd",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "10s",
	"default_transaction_isolation":       "read committed",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"enable_bitmapscan":                   "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"jit":                                 "off",
}

// commitDurably makes a commit be answered when it is on disk, and on that of
// synchronous standbys, whatever is set for the server, the database or the role.
// It takes a statement, since a pooler may drop what is sent to connect.
func commitDurably(c *pgconn.Config) error {
	const name = "synchronous_commit"
	level := "on"
	if given, ok := c.RuntimeParams[name]; ok {
		if level = strings.ToLower(given); level != "on" && level != "remote_apply" {
			// It is not quoted: a mistake may have put anything there.
			return errors.New("postgres: the database's URL: synchronous_commit must be on or remote_apply, or be left out: what was answered must not get lost")
		}
	}
	c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, "SET "+name+" = "+level).ReadAll()
		return err
	}
	return nil
}

// oldest is the oldest version of PostgreSQL that will do.
const oldest = 14

// querier is a connection or a pool.
type querier interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}

// checkServer returns an error if the server is too old, or may lose in a crash
// what it has committed. A setting of ours, beside each of the two that decide it,
// says that this is known: for a server in tests, or on storage that makes the
// setting needless. Like any setting it can be in the URL, of the database
// (ALTER DATABASE … SET cvvd.fsync = 'off') or in postgresql.conf.
func checkServer(ctx context.Context, db querier) error {
	var number int
	var version string
	if err := db.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_version')").Scan(&number, &version); err != nil {
		return err
	}
	if number < oldest*10_000 {
		return fmt.Errorf("the server is PostgreSQL %s; %d or newer is needed", version, oldest)
	}
	var off []string
	if err := db.QueryRow(ctx, `SELECT ARRAY(
		SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes']) AS name
		WHERE current_setting(name) = 'off' AND current_setting('cvvd.' || name, true) IS DISTINCT FROM 'off')`).Scan(&off); err != nil {
		return err
	}
	if len(off) > 0 {
		return fmt.Errorf("the server runs with %[1]s = off, and may lose in a crash what it has committed: "+
			"turn it on; or, for tests, or on storage that makes it needless, add cvvd.%[2]s=off to the URL",
			strings.Join(off, " = off and "), strings.Join(off, "=off&cvvd."))
	}
	return nil
}
