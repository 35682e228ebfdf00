package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cvvrotation/rotation/engine/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is one version of the schema.
type migration struct {
	version int
	name    string // of the file
}

// steps returns the migrations in order. Versions start at 1 without gaps, which a
// test checks.
func steps() []migration {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	var steps []migration
	for _, e := range entries { // sorted by name
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		steps = append(steps, migration{version, e.Name()})
	}
	return steps
}

// SchemaVersion returns the version of the schema that this package works with.
func SchemaVersion() int { return len(steps()) }

// lockClass is the first half of the key of every advisory lock of this package. The
// second half is a hash of purpose and schema.
const lockClass = 0x63767664 // "cvvd"

// The second halves: one lock for migrations and one for the relay, in each schema.
const (
	migrationLock = "hashtext('migrate ' || $2)"
	relayLock     = "hashtext('relay ' || current_schema())"
)

// Migrate creates the schema of the database, or upgrades any older version to the
// one that this program works with, in one transaction. If the schema is up to date,
// it does nothing. If the schema is newer, it changes nothing and returns an error
// that matches store.ErrSchema. Any number of processes may call it concurrently.
//
// It creates tables in the first schema of the URL's search_path, and that schema if
// it does not exist. Defaults to the user's default schema.
// Of the options it uses Configure alone.
func Migrate(ctx context.Context, url string, o Options) error {
	config, err := parse(url, o.Configure)
	if err != nil {
		return err
	}
	conn, err := connectAlone(ctx, config, map[string]string{"statement_timeout": "0"})
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := checkServer(ctx, conn); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return migrate(ctx, tx, firstSchema(config.ConnConfig.RuntimeParams["search_path"]))
	})
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}

// firstSchema returns the first name of a search path.
func firstSchema(path string) string {
	name, _, _ := strings.Cut(path, ",")
	return strings.Trim(name, ` "`)
}

func migrate(ctx context.Context, tx pgx.Tx, schema string) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::int, "+migrationLock+")", lockClass, schema); err != nil {
		return err
	}
	if schema != "" {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS migrations (
		version integer PRIMARY KEY,
		name    text NOT NULL,
		applied timestamptz NOT NULL DEFAULT now())`); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&version); err != nil {
		return err
	}
	if version > SchemaVersion() {
		return newer(version)
	}
	for _, m := range steps()[version:] {
		text, err := migrations.ReadFile("migrations/" + m.name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO migrations (version, name) VALUES ($1, $2)", m.version, m.name); err != nil {
			return err
		}
	}
	return nil
}

func newer(version int) error {
	return fmt.Errorf("%w: version %d, made by a newer program; this one works with version %d: update it", store.ErrSchema, version, SchemaVersion())
}

// checkSchema returns an error that matches store.ErrSchema unless the schema is up
// to date.
func checkSchema(ctx context.Context, db querier) error {
	var version int
	err := db.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&version)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "3F000"): // no such table, no such schema
		return fmt.Errorf("%w: it does not exist yet: run cvvd migrate", store.ErrSchema)
	case err != nil:
		return err
	case version > SchemaVersion():
		return newer(version)
	case version < SchemaVersion():
		return fmt.Errorf("%w: version %d, and this program needs version %d: run cvvd migrate", store.ErrSchema, version, SchemaVersion())
	}
	return nil
}
