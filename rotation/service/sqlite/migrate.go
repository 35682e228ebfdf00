package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"cvvrotation/rotation/engine/store"
)

// application is the application_id of databases of this package ("CVVR").
const application = 0x43565652

//go:embed migrations/*.sql
var schema embed.FS

// migrations returns the files of the schema, by version.
func migrations() []fs.DirEntry {
	files, err := schema.ReadDir("migrations")
	if err != nil {
		panic(err) // they are embedded
	}
	return files
}

// SchemaVersion returns the version of the schema that this package works with.
func SchemaVersion() int { return len(migrations()) }

// schemaVersion returns the version of the schema, 0 for a new database. It returns an
// error that matches store.ErrSchema if the version is above SchemaVersion or the database
// belongs to another program.
func (s *Store) schemaVersion(ctx context.Context) (int, error) {
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
		return 0, fmt.Errorf("%w: the file belongs to another program: give the path of a new file", store.ErrSchema)
	case version > int64(SchemaVersion()):
		return 0, fmt.Errorf("%w: version %d is newer than version %d, which this program supports: run the newer program, or restore the backup from before the upgrade",
			store.ErrSchema, version, SchemaVersion())
	}
	return int(version), nil
}

// migrate runs one migration, all or nothing.
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
