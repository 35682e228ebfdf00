package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

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
