package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// parameters are settings of every session, unless the URL sets them. They override
// those of the server, the database and the role.
//
// Every statement of this package uses an index and is planned once, independently
// of its parameters. Otherwise stale statistics can turn a plan into a scan of the
// whole table, which is how queues in databases fail.
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

// commitLevel returns the value of synchronous_commit that every session sets, so that
// the server confirms a commit when it is on its disk and on that of synchronous
// standbys, whatever the settings of the server, the database or the role. A statement
// sets it, because a pooler may drop startup parameters.
func commitLevel(c *pgconn.Config) (string, error) {
	level := "on"
	if given, ok := c.RuntimeParams["synchronous_commit"]; ok {
		if level = strings.ToLower(given); level != "on" && level != "remote_apply" {
			// The value is not quoted: it may be a misplaced password.
			return "", errors.New("postgres: the database's URL: synchronous_commit must be on, remote_apply or absent: otherwise confirmed commits can get lost")
		}
	}
	return level, nil
}

// oldest is the oldest supported version of PostgreSQL.
const oldest = 14

// querier is a connection or a pool.
type querier interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}

// checkServer returns an error if the server is too old, or runs with fsync or
// full_page_writes off, with which a crash can lose commits. A server in tests, or on
// storage that makes a setting unnecessary, is accepted if cvvd.fsync or
// cvvd.full_page_writes is off as well: in the URL, in the database
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
		return fmt.Errorf("the server runs with %[1]s = off, so a crash can lose commits: turn it on; "+
			"or, for tests or storage that makes it unnecessary, add cvvd.%[2]s=off to the URL",
			strings.Join(off, " = off and "), strings.Join(off, "=off&cvvd."))
	}
	return nil
}
