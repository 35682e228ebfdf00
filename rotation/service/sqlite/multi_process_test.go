package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/internal/powertest"
	"cvvrotation/sim/must"
)

// childVariable turns the test binary into another process, which opens the file that
// the variable names and runs the commands of its standard input, one a line. With
// openVariable it opens the file and exits.
const (
	childVariable = "CVV_SQLITE_TEST_CHILD"
	openVariable  = "CVV_SQLITE_TEST_OPEN"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		if err := child(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	fmt.Println("open")
	if os.Getenv(openVariable) != "" {
		return nil
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var err error
		switch in.Text() {
		case "lease":
			_, err = s.AcquireLease(ctx)
		case "update": // until there are 300 of them, of all processes
			for enough := false; err == nil && !enough; {
				err = s.Update(ctx, "A", "", func(change *store.Change) error {
					if enough = change.Card.Version >= 300; enough {
						return nil
					}
					return count(change)
				})
			}
		}
		fmt.Println("done", err)
	}
	return s.Close()
}

// process is another process.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, path string) *process {
	t.Helper()
	exe := must.Get(os.Executable())(t)
	p := &process{t: t, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), childVariable+"="+path)
	p.in = must.Get(p.cmd.StdinPipe())(t)
	out := must.Get(p.cmd.StdoutPipe())(t)
	must.Do(t, p.cmd.Start())
	t.Cleanup(p.kill)
	p.out = bufio.NewScanner(out)
	p.expect("open")
	return p
}

func (p *process) say(word string) { fmt.Fprintln(p.in, word) }

func (p *process) expect(line string) {
	p.t.Helper()
	if p.out.Scan(); p.out.Text() != line {
		p.t.Fatalf("the process says %q, not %q", p.out.Text(), line)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func TestLease_ExcludesOtherProcessesUntilKilled(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	other := start(t, path)
	other.say("lease")
	other.expect("done <nil>")
	if _, err := s.AcquireLease(t.Context()); !errors.Is(err, store.ErrLeaseHeld) {
		t.Fatalf("while another process holds the lease: %v", err)
	}
	other.kill()
	l, err := s.AcquireLease(t.Context())
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	third := start(t, path)
	third.say("lease")
	third.expect("done " + store.ErrLeaseHeld.Error())
	l.Release()
	third.say("lease")
	third.expect("done <nil>")
}

func TestUpdate_ProcessesLoseNoUpdate(t *testing.T) {
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	put(t, s, "A")
	one, two := start(t, path), start(t, path)
	one.say("update")
	two.say("update")
	for version(t, s, "A") < 300 {
		put(t, s, "A")
	}
	one.expect("done <nil>")
	two.expect("done <nil>")
	must.Equal(t, upTo(version(t, s, "A")), numbers(t, s, "A"))
}

func TestUpdate_StoresOfOneProcessShareAFile(t *testing.T) {
	path := tempFile(t)
	stores := []*Store{mustOpen(t, path, nil), mustOpen(t, path, nil)}
	const callers, each = 4, 40
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				put(t, stores[i%2], "A")
			}
		})
	}
	wg.Wait()
	stores[0].Close() // must not release the locks of the other
	put(t, stores[1], "A")
	must.Equal(t, upTo(callers*each+1), numbers(t, stores[1], "A"))
	must.Do(t, mustOpen(t, path, nil).Close())
}

// An update waits for about one claim of another process with a backlog, although
// SQLite's waiters poll.
func TestWriterLock_BacklogDoesNotStarveOtherProcesses(t *testing.T) {
	path := tempFile(t)
	daemon, operator := mustOpen(t, path, nil), mustOpen(t, path, nil)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() { put(t, daemon, fmt.Sprint(i)) })
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	claims := make(chan int64)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for n := int64(0); ; {
			select {
			case claims <- n:
			case <-ctx.Done():
				return
			default:
				if _, err := daemon.Claim(context.Background(), 300, count); err != nil {
					t.Error(err)
					return
				}
				n++
			}
		}
	}()
	const updates = 10
	before := <-claims
	for range updates {
		put(t, operator, "A")
	}
	// Measured: 4 to 13, and without the writer lock 25 to 435.
	if n := <-claims - before; n > 4*updates {
		t.Errorf("%d claims while %d updates waited", n, updates)
	}
	cancel()
	<-stopped
}

func TestUpdate_ReportsProcessThatLocksTheDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) { // where the timeout of ten seconds passes immediately
		c := must.Get(connect(t.Context(), dsn(s.path)))(t)
		defer c.Close()
		must.Do(t, c.script(t.Context(), "BEGIN IMMEDIATE"))
		if err := s.Update(t.Context(), "A", "", count); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		go func() { errs <- s.Update(ctx, "A", "", count) }()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		must.Do(t, c.script(t.Context(), "ROLLBACK"))
		put(t, s, "A")
	})
}

// A killed process may have left an unsynced log. Open syncs it, even if a reader of
// another process blocks checkpoints.
func TestOpen_SyncsTheLogOfAKilledProcess(t *testing.T) {
	powertest.Need(t)
	path := tempFile(t)
	s := mustOpen(t, path, nil)
	put(t, s, "A")
	execute(t, path, "PRAGMA wal_checkpoint(PASSIVE)")
	reader := must.Get(connect(t.Context(), dsn(path)))(t)
	defer reader.Close()
	must.Do(t, reader.script(t.Context(), "BEGIN; SELECT count(*) FROM card"))
	put(t, s, "B")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+path, openVariable+"=1")
	run := must.Get(powertest.Trace(t, filepath.Dir(path), cmd))(t)
	if n := len(run.Syncs()); n != 2 {
		t.Errorf("%d syncs, want 2: log and folder", n)
	}
}
