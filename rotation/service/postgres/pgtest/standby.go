package pgtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// Standby starts a streaming standby of the server for this test alone, and stops it when
// the test ends. Its settings are its own; see New. The test is skipped if PGTEST_BIN names
// programs without pg_basebackup.
func (s *Server) Standby(t testing.TB, settings ...string) *Server {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.bin, "pg_basebackup")); err != nil && os.Getenv("PGTEST_BIN") != "" {
		t.Skipf("no standby of this version: %v", err)
	}
	standby := must.Get(startCreated(s.bin, func(standby *Server) error { return standby.copy(s) }, settings...))(t)
	t.Cleanup(standby.end)
	return standby
}

// copy creates the data of a standby of the primary.
func (s *Server) copy(primary *Server) error {
	return s.run("pg_basebackup", "-h", primary.dir, "-U", "postgres", "-D", s.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
}

// Follow starts a stopped server as a standby of the primary, with a copy of the primary's
// data in place of its own. URLs stay valid.
func (s *Server) Follow(t testing.TB, primary *Server) {
	t.Helper()
	must.Do(t, os.RemoveAll(s.data()))
	must.Do(t, s.copy(primary))
	s.Start(t)
}

// Promote makes a standby a primary and waits until it accepts writes.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	must.Do(t, s.run("pg_ctl", "-D", s.data(), "-w", "-s", "promote"))
}

// Set changes a setting of the running server, as ALTER SYSTEM does, and waits until it
// is in effect for new sessions. A standby that is started later copies it.
func (s *Server) Set(t testing.TB, name, value string) {
	t.Helper()
	must.Do(t, s.exec("ALTER SYSTEM SET "+name+" = '"+value+"'"))
	must.Do(t, s.exec("SELECT pg_reload_conf()"))
	s.waitFor(t, "SELECT current_setting('"+name+"') = '"+value+"'")
}

// Synchronous makes every commit of the server wait for its standby.
func (s *Server) Synchronous(t testing.TB) {
	t.Helper()
	s.Set(t, "synchronous_standby_names", "*")
	s.waitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
}

// waitFor waits until a query returns true.
func (s *Server) waitFor(t testing.TB, sql string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var ok bool
		must.Do(t, s.query(sql, &ok))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", sql)
		}
	}
}
