package killtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/sim/must"
)

// killServer kills the server of a database and its child processes with SIGKILL. The
// server must belong to this test alone.
func killServer(t *testing.T, url string) {
	t.Helper()
	ctx := context.Background()
	conn := must.Get(pgx.Connect(ctx, url))(t)
	var data string
	err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&data)
	conn.Close(ctx)
	must.Do(t, err)
	text := must.Get(os.ReadFile(filepath.Join(data, "postmaster.pid")))(t)
	first, _, _ := strings.Cut(string(text), "\n")
	server, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("postmaster.pid begins with %q", first)
	}
	must.Do(t, syscall.Kill(server, syscall.SIGSTOP)) // so that it starts no more processes
	until(t, func() bool { return stateOf(server) == "T" }, "process %d does not stop", server)
	all := append([]int{server}, childrenOf(t, server)...)
	for _, pid := range all {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	for _, pid := range all {
		until(t, func() bool { return stateOf(pid) == "" }, "process %d outlives its kill", pid)
	}
	// Without an init process that reaps them, the next server would assume that the
	// killed processes are alive.
	for _, lock := range []string{filepath.Join(data, "postmaster.pid"), filepath.Join(filepath.Dir(data), ".s.PGSQL.5432.lock")} {
		must.Do(t, os.Remove(lock))
	}
}

// childrenOf returns the child processes of a process.
func childrenOf(t *testing.T, parent int) (all []int) {
	t.Helper()
	stats := must.Get(filepath.Glob("/proc/[0-9]*/stat"))(t)
	for _, name := range stats {
		var ppid int
		var state string
		text, _ := os.ReadFile(name) // it may have ended
		_, rest, ok := strings.Cut(string(text), ") ")
		if !ok {
			continue
		}
		if _, err := fmt.Sscan(rest, &state, &ppid); err != nil || ppid != parent {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// stateOf returns the letter of a process's state, T if it is stopped, and "" if it has
// ended, reaped or not.
func stateOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return strings.Trim(state, "ZX")
}

// until polls for a state of a process that is not a child of this one.
func until(t *testing.T, is func() bool, otherwise string, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf(otherwise, pid)
		}
	}
}
