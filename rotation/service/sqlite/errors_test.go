package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// A file that may not grow refuses writes and CheckWrites as ErrReadOnly; reads succeed.
// With room, both succeed again.
func TestFullFile_RefusesWritesAsErrReadOnly(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	put(t, s, "card")
	must.Do(t, s.CheckWrites(t.Context()))
	must.Do(t, s.writer.script(t.Context(), "PRAGMA max_page_count = 1")) // no more than now
	var err error
	for range 1000 { // until the free pages are used
		if err = s.Update(t.Context(), "card", "", count); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an update: %v", err)
	}
	if err := s.CheckWrites(t.Context()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("CheckWrites: %v", err)
	}
	must.Get(s.Card(t.Context(), "card"))(t)
	must.Do(t, s.writer.script(t.Context(), "PRAGMA max_page_count = 100000"))
	must.Do(t, s.CheckWrites(t.Context()))
	must.Do(t, s.Update(t.Context(), "card", "", count))
}

func TestMissingColumn_IsErrSchema(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	put(t, s, "card")
	execute(t, path, "ALTER TABLE card RENAME COLUMN spread TO spread2")
	for name, call := range map[string]func(context.Context) error{
		"Update": func(ctx context.Context) error { return s.Update(ctx, "card", "", count) },
		"Card":   func(ctx context.Context) error { _, err := s.Card(ctx, "card"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(t.Context()); !errors.Is(err, store.ErrSchema) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A locked file is ErrReadOnly after the busy timeout, or the end of the call's context.
func TestLockedFile_RefusesWrites(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	put(t, s, "card")
	must.Do(t, s.writer.script(t.Context(), "PRAGMA busy_timeout = 10"))
	other := must.Get(connect(t.Context(), dsn(path)))(t)
	defer other.Close()
	must.Do(t, other.script(t.Context(), "BEGIN IMMEDIATE"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.CheckWrites(ctx); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("%v", err)
	}
	must.Do(t, other.script(t.Context(), "ROLLBACK"))
	must.Do(t, s.CheckWrites(t.Context()))
}
