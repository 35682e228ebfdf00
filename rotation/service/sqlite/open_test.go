package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// refused checks that Open fails with an error that contains the words and the path.
func refused(t *testing.T, path string, words ...string) error {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err == nil {
		s.Close()
		t.Fatal("Open succeeded")
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	return err
}

func TestOpen_AppliesSettingsToAllConnections(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	reader := <-s.idle
	defer func() { s.idle <- reader }()
	if got := ask(t, s.writer, "SELECT sqlite_version() >= '3.51.3' AND sqlite_version() LIKE '3.__.%'"); got != "1" {
		t.Error("SQLite is too old")
	}
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "trusted_schema": "0",
		"application_id": "1129731666", "user_version": "6", "encoding": "UTF-8",
	} {
		t.Run(pragma, func(t *testing.T) {
			for name, c := range map[string]*conn{"writer": s.writer, "reader": reader} {
				if got := ask(t, c, "PRAGMA "+pragma); got != want {
					t.Errorf("%s: %s is %s, want %s", name, pragma, got, want)
				}
			}
		})
	}
	if err := reader.script(t.Context(), "DELETE FROM card"); err == nil {
		t.Error("a reading connection can write")
	}
	if err := check(t.Context(), reader, []pragma{{"synchronous", 1}}); err == nil {
		t.Error("check accepts a setting with another value")
	}
}

func TestOpen_FilesAreReadableByTheirOwnerAlone(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	must.Get(s.AcquireLease(t.Context()))(t)
	for _, suffix := range []string{"", "-wal", "-shm", "-writer-lock", "-relay-lock"} {
		t.Run(suffix, func(t *testing.T) {
			info := must.Get(os.Stat(path + suffix))(t)
			if info.Mode() != 0o600 {
				t.Errorf("cards.db%s has mode %v", suffix, info.Mode())
			}
		})
	}
}

func TestOpen_AcceptsAnyPathOfAFile(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory", "a#b", "a%20b", "ä", "file:x", "&_pragma=synchronous(0)"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			s := mustOpen(t, path, nil)
			put(t, s, "A")
			must.Do(t, s.Close())
			must.Get(os.Stat(path))(t)
			if _, err := mustOpen(t, path, nil).Card(t.Context(), "A"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for _, path := range []string{"", ":memory:"} {
		if _, err := Open(t.Context(), path, Options{}); err == nil {
			t.Errorf("Open accepts %q", path)
		}
	}
}

func TestOpen_RefusesNewerSchema(t *testing.T) {
	path := tempFile(t)
	mustOpen(t, path, nil).Close()
	execute(t, path, "PRAGMA user_version = 99")
	err := refused(t, path, "version 99", "version 6,", "newer program", "backup")
	if !errors.Is(err, store.ErrSchema) {
		t.Errorf("%v is no ErrSchema", err)
	}
	execute(t, path, "PRAGMA user_version = 6")
	mustOpen(t, path, nil)
}

func TestOpen_LeavesDatabaseOfAnotherProgramUnchanged(t *testing.T) {
	path := tempFile(t)
	execute(t, path, "CREATE TABLE card (pet TEXT); INSERT INTO card VALUES ('cat')")
	before := must.Get(os.ReadFile(path))(t)
	if err := refused(t, path, "another program"); !errors.Is(err, store.ErrSchema) {
		t.Errorf("%v is no ErrSchema", err)
	}
	after := must.Get(os.ReadFile(path))(t)
	if !bytes.Equal(before, after) {
		t.Error("the file has changed")
	}
}

func TestOpen_LeavesOtherFilesUnchanged(t *testing.T) {
	path := tempFile(t)
	text := bytes.Repeat([]byte("dear diary, "), 1000)
	must.Do(t, os.WriteFile(path, text, 0o600))
	refused(t, path, "not a SQLite database", "another path")
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
		t.Errorf("the file has changed, or %v", err)
	}
}

func TestDamagedDatabase_IsReportedByReadsAndWrites(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	for i := range 200 {
		put(t, s, fmt.Sprint("card ", i))
	}
	s.Close()
	info := must.Get(os.Stat(path))(t)
	f := must.Get(os.OpenFile(path, os.O_RDWR, 0))(t)
	const page = 4096 // the first one has the schema
	must.Get(f.WriteAt(bytes.Repeat([]byte{0xEE}, int(info.Size())-page), page))(t)
	f.Close()
	s = mustOpen(t, path, nil)
	_, readErr := s.ListCards(t.Context(), "", 1000)
	writeErr := s.Update(t.Context(), "card 7", "", count)
	again := s.Update(t.Context(), "card 7", "", count) // in a transaction of its own
	for _, err := range []error{readErr, writeErr, again} {
		if err == nil || !strings.Contains(err.Error(), "damaged: restore a backup") {
			t.Errorf("got %v", err)
		}
	}
}

func TestOpen_MissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "cards.db")
	if err := refused(t, path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	refused(t, t.TempDir(), "cannot be opened")
}

func TestOpen_ConcurrentCallsCreateOneSchema(t *testing.T) {
	path := tempFile(t)
	type opened struct {
		*Store
		error
	}
	all := make(chan opened)
	const n = 8
	for range n {
		go func() {
			s, err := Open(context.Background(), path, Options{})
			all <- opened{s, err}
		}()
	}
	for i := range n {
		o := <-all
		if o.error != nil {
			t.Error(o.error)
			continue
		}
		defer o.Close()
		put(t, o.Store, fmt.Sprint(i))
	}
}

// Operators' commands must open the file even while a process is stuck in a transaction.
func TestOpen_DoesNotWaitForAnotherWriter(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	put(t, s, "A")
	c := must.Get(connect(t.Context(), dsn(path)))(t)
	defer c.Close()
	must.Do(t, c.script(t.Context(), "BEGIN IMMEDIATE; DELETE FROM card"))
	if got := version(t, mustOpen(t, path, nil), "A"); got != 1 {
		t.Errorf("version %d", got)
	}
}

func TestOpen_CanceledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, tempFile(t), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Unusual values are stored unchanged; storetest covers the others.
func TestUpdate_StoresEveryFieldOfACard(t *testing.T) {
	at := func(ns int64) time.Time { return time.Unix(0, ns).UTC() }
	full := store.Card{
		ID: "A\x00'\"ä", Version: 3, State: []byte{0, 1}, Sealed: []byte{}, Identity: []byte{5},
		Next: at(0), Due: at(-1), Created: at(1 << 62), ServiceCode: servicecode.MustParse("000"), Failure: "it's broken",
	}
	s := mustOpen(t, tempFile(t), nil)
	for _, want := range []store.Card{full, {ID: full.ID, Version: 1}, full} {
		must.Do(t, s.Update(t.Context(), want.ID, "", func(change *store.Change) error {
			change.Card, change.Write = want, true
			return nil
		}))
		got := must.Get(s.Card(t.Context(), want.ID))(t)
		must.Equal(t, want, got, cmp.Comparer(func(a, b servicecode.Code) bool { return a == b }))
	}
}
