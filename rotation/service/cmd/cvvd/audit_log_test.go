package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cvvrotation/cmd/command"
)

// readAudit returns the records of a file, each of which must be whole.
func readAudit(t *testing.T, file string) (records []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		records = append(records, r)
	}
	return records
}

// TestAuditFile: daemon and operators write one file, at the same time; it is
// opened anew at SIGHUP; and whose tokens these are is in it.
func TestAuditFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	env := settings(t, "CVVD_LOG_AUDIT_FILE="+file, "CVVD_LIMITS_CARD_PER_SECOND=0")
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
		t.Fatal(status, body)
	}
	const calls, commands = 200, 5
	var both sync.WaitGroup
	for range 4 {
		both.Go(func() {
			for range calls / 4 {
				if status, _, err := p.try("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
					t.Error(status, err)
				}
			}
		})
	}
	for range commands {
		operator(t, env, "card", "force", "a")
	}
	both.Wait()
	versions := map[any]bool{}
	operators := 0
	for _, r := range readAudit(t, file) {
		versions[r["version"]] = true
		switch {
		case r["by"] == "operator" && r["issuer"] == nil:
			operators++
		case r["by"] != "token" || r["issuer"] != issuer || r["subject"] != "tester":
			t.Error(r)
		}
	}
	if len(versions) != 1+calls+commands || operators != commands {
		t.Errorf("%d versions on record, %d by operators", len(versions), operators)
	}

	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "the audit log was opened again")
	if status, _ := p.send("GET", p.pci+"/v1/cards/a/cvv", auth, ""); status != 200 {
		t.Error(status)
	}
	if records := readAudit(t, file); len(records) != 1 || records[0]["operation"] != "reveal" {
		t.Errorf("after SIGHUP: %v", records)
	}

	// What can't be opened leaves the one before.
	if err := os.Rename(file, file+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "the audit log could not be opened again")
	if status, _ := p.send("GET", p.pci+"/v1/cards/a/cvv", auth, ""); status != 200 {
		t.Error(status)
	}
	if records := readAudit(t, file+".2"); len(records) != 2 {
		t.Errorf("%d records in the one before", len(records))
	}
	if info, err := os.Stat(file + ".1"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if log := p.log.String(); strings.Contains(log, "msg\":\"audit") {
		t.Error("records are in the log as well")
	}
}

// TestAuditFull: the daemon reveals nothing that it can't record, and does the
// rest; a command says that what it did is not on record.
func TestAuditFull(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full, where every write fails")
	}
	env := settings(t, "CVVD_LOG_AUDIT_FILE=/dev/full")
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	for _, call := range []struct {
		method, path string
		want         int
	}{{"PUT", "", 201}, {"POST", "/cvv/rotate", 200}, {"GET", "/cvv", 503}} {
		if status, _ := p.send(call.method, p.pci+"/v1/cards/a"+call.path, auth, ""); status != call.want {
			t.Errorf("%s %s: %d, want %d", call.method, call.path, status, call.want)
		}
	}
	q := start(t, env, "card", "force", "a")
	<-q.done
	if log := q.log.String(); exitCode(q.err) != command.Failed || !strings.Contains(log, "error: it was done, but the audit log has no record of this: ") || q.out.String() != "" {
		t.Errorf("%v: %s%s", q.err, q.out, log)
	}
	if !strings.Contains(operator(t, env, "card", "show", "a"), "version 3") {
		t.Error("it was not done")
	}
}

// small is a file on a disk with room for a few bytes.
type small struct {
	bytes.Buffer
	room int
}

func (s *small) Write(b []byte) (int, error) {
	n, _ := s.Buffer.Write(b[:min(len(b), s.room)])
	if s.room -= n; n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (s *small) Close() error { return nil }

// TestAuditTorn: what a full disk took of a record does not spoil the next one.
func TestAuditTorn(t *testing.T) {
	disk := &small{room: 5}
	a := &appended{path: t.TempDir(), file: disk}
	write := func(line string, want error) {
		t.Helper()
		if _, err := a.Write([]byte(line)); err != want {
			t.Errorf("%q: %v, want %v", line, err, want)
		}
	}
	write("1\n", nil)
	write("2222\n", syscall.ENOSPC)
	write("3\n", syscall.ENOSPC) // nothing of it
	disk.room = 100
	write("4\n", nil)
	write("5\n", nil)
	if got, want := disk.String(), "1\n222\n4\n5\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAuditDeleted: a file that was deleted swallows no record. The daemon makes it
// anew; an operator's command must not, and says that it could not record.
func TestAuditDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	daemons := &appended{path: path, flags: os.O_WRONLY | os.O_APPEND | os.O_CREATE}
	operators := &appended{path: path, flags: os.O_WRONLY | os.O_APPEND}
	for _, a := range []*appended{daemons, operators} {
		if err := a.Reopen(); err != nil {
			t.Fatal(err)
		}
		defer a.Close()
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := operators.Write([]byte("1\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := daemons.Write([]byte("2\n")); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); string(text) != "2\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
