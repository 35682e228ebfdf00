package pgtest

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/sim/must"
)

// childVariable turns the test binary into a process that starts a server, prints its
// folder and waits to be killed.
const childVariable = "PGTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		var t testing.T
		s, err := start(programs(&t), "fsync=off")
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(s.dir + "\n")
		select {}
	}
	os.Exit(m.Run())
}

func TestStart_ServerEndsWhenTheProcessIsKilled(t *testing.T) {
	programs(t) // skips if there are none
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "TMPDIR="+t.TempDir()) // which another user cannot write to
	out := must.Get(cmd.StdoutPipe())(t)
	must.Do(t, cmd.Start())
	dir, err := bufio.NewReader(out).ReadString('\n')
	dir = strings.TrimSpace(dir)
	if err != nil || dir == "" {
		cmd.Process.Kill()
		t.Fatalf("the child printed %q, %v", dir, err)
	}
	conn := must.Get(pgx.Connect(t.Context(), (&Server{dir: dir}).url("postgres")))(t)
	defer conn.Close(context.Background())
	cmd.Process.Kill()
	cmd.Wait()
	if err := conn.Ping(t.Context()); err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := conn.WaitForNotification(ctx); ctx.Err() != nil {
			t.Fatalf("the server still runs: %v", err)
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%s is left behind", dir)
		}
	}
}

func TestStart_EachCallReturnsItsOwnDatabase(t *testing.T) {
	one, two := Start(t), Start(t)
	if one == two {
		t.Fatal("two calls returned the same database")
	}
	for _, url := range []string{one, two} {
		conn := must.Get(pgx.Connect(t.Context(), url))(t)
		must.Get(conn.Exec(t.Context(), "CREATE TABLE t ()"))(t)
		conn.Close(t.Context())
	}
}

func TestStop_IsACrashThatKeepsCommits(t *testing.T) {
	s := New(t)
	url := s.Database(t)
	conn := must.Get(pgx.Connect(t.Context(), url))(t)
	must.Get(conn.Exec(t.Context(), "CREATE TABLE t ()"))(t)
	s.Stop(t)
	if err := conn.Ping(t.Context()); err == nil {
		t.Fatal("the connection outlived the server")
	}
	s.Start(t)
	conn = must.Get(pgx.Connect(t.Context(), url))(t)
	defer conn.Close(context.Background())
	must.Get(conn.Exec(t.Context(), "TABLE t"))(t)
	if !strings.Contains(s.Log(t), "recovery") {
		t.Error("no recovery in the server's log: it did not crash")
	}
}
