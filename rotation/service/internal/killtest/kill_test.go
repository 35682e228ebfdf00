package killtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/check/enginecheck"
	"cvvrotation/sim/must"
)

// patience is the timeout for a child to start, and for the delivery of the last
// events.
const patience = time.Minute

func TestKilledProcesses_OnSQLite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.orders.Path = filepath.Join(t.TempDir(), "cards.db")
	w.register()
	for range number(t, "KILLS", 36) {
		w.life()
	}
	w.check()
}

func TestKilledProcesses_OnPostgreSQL(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t) // syncs to disk
	w := newWorld(t, 3)
	w.orders.URL = server.Database(t)
	must.Do(t, postgres.Migrate(context.Background(), w.orders.URL, postgres.Options{}))
	w.register()
	n := number(t, "KILLS", 36)
	for i := range n {
		w.life()
		if i == n/3 || i == 2*n/3 {
			killServer(t, w.orders.URL)
			server.Start(t)
			w.killed.servers++
		}
	}
	w.check()
}

// The checks find engines with a known bug.
func TestKilledProcesses_FindsKnownBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped by -short")
	}
	for bug, want := range map[string]string{
		"event-beside":      "want number", // a gap in the numbers of events
		"answer-not-stored": "forced rotations, but",
		"key-per-replica":   "forced rotations, but",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.orders.Path, w.orders.Bug = filepath.Join(t.TempDir(), "cards.db"), bug
			w.register()
			for range 12 {
				w.life()
			}
			wrong := w.violations()
			if !slices.ContainsFunc(wrong, func(err error) bool { return strings.Contains(err.Error(), want) }) {
				t.Errorf("%d kills did not find the bug: %v", w.killed.children, wrong)
			}
		})
	}
}

// number returns the value of an environment variable, or the default.
func number(t *testing.T, variable string, standard int) int {
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a positive number", variable, text)
	}
	return n
}

// world is a test's children and their common state.
type world struct {
	t        *testing.T
	random   *rand.Rand
	orders   orders
	children []*process // nil: not running
	lives    int        // processes started
	killed   struct{ children, servers int }
}

// process is a child.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  *bufio.Reader
}

func newWorld(t *testing.T, children int) *world {
	seed := rand.Uint64N(1_000_000)
	if text := os.Getenv("KILLSEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("KILLSEED=%q: want a number", text)
		}
	}
	t.Logf("seed %d; to repeat the calls: KILLSEED=%d go test ./rotation/service/internal/killtest -run %s -v", seed, seed, t.Name())
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 1)), orders: orders{Dir: t.TempDir(), Seed: seed}, children: make([]*process, children)}
	t.Cleanup(func() {
		for i := range w.children {
			w.kill(i)
		}
	})
	return w
}

func (w *world) register() {
	w.t.Helper()
	s, e, err := w.orders.open()
	must.Do(w.t, err)
	defer s.Close()
	for i := range cards {
		must.Get(register(e, i))(w.t)
	}
}

func register(e *engine.Engine, i int) (engine.Schedule, error) {
	interval := guard + time.Duration(20*(i+1))*time.Millisecond
	s, _, err := e.Register(context.Background(), refOf(uint64(i)), engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval}})
	return s, err
}

// life starts the missing children, and kills one after a random time.
func (w *world) life() {
	w.t.Helper()
	for i, c := range w.children {
		if c == nil {
			w.start(i)
		}
	}
	victim := w.random.IntN(len(w.children))
	if w.random.IntN(6) > 0 { // otherwise kill it during its start
		w.await(victim)
		time.Sleep(time.Duration(w.random.Int64N(int64(150 * time.Millisecond))))
	} else {
		time.Sleep(time.Duration(w.random.Int64N(int64(40 * time.Millisecond))))
	}
	w.kill(victim)
	w.killed.children++
}

// childOf returns the command that starts a child with its orders.
func childOf(t *testing.T, o orders) *exec.Cmd {
	t.Helper()
	text := must.Get(json.Marshal(o))(t)
	exe := must.Get(os.Executable())(t)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	return cmd
}

func (w *world) start(i int) {
	w.t.Helper()
	o := w.orders
	o.Child = i
	w.lives++
	o.Life = w.lives
	w.eachAnswer(i, func(a acknowledged) {
		if a.Caller >= 0 {
			o.Answered[a.Caller]++
		}
	})
	cmd := childOf(w.t, o)
	cmd.Stderr = os.Stderr
	stdin := must.Get(cmd.StdinPipe())(w.t)
	stdout := must.Get(cmd.StdoutPipe())(w.t)
	must.Do(w.t, cmd.Start())
	w.children[i] = &process{cmd, stdin, bufio.NewReader(stdout)}
}

// await waits until a child is ready.
func (w *world) await(i int) {
	w.t.Helper()
	c := w.children[i]
	if c.said == nil {
		return
	}
	said := make(chan string, 1)
	go func() {
		line, _ := c.said.ReadString('\n')
		said <- strings.TrimSpace(line)
	}()
	select {
	case line := <-said:
		if line != "ready" {
			w.t.Fatalf("child %d ended: %s", i, line)
		}
	case <-time.After(patience):
		w.t.Fatalf("child %d is not ready after %v", i, patience)
	}
	c.said = nil
}

func (w *world) kill(i int) {
	c := w.children[i]
	if c == nil {
		return
	}
	_ = c.cmd.Process.Kill() // SIGKILL; it may have exited
	_ = c.cmd.Wait()
	w.children[i] = nil
	if state := c.cmd.ProcessState; state != nil && state.Exited() {
		w.t.Errorf("child %d exited: %v", i, state)
	}
}

// eachAnswer calls f with the recorded answers of a child, in order.
func (w *world) eachAnswer(child int, f func(acknowledged)) {
	o := w.orders
	o.Child = child
	must.Do(w.t, readLines(o.answersFile(), func(line []byte) {
		var a acknowledged
		must.Do(w.t, json.Unmarshal(line, &a))
		f(a)
	}))
}

// replayed returns how many calls got a replayed answer.
func (w *world) replayed() (n int) {
	for i := range w.children {
		w.eachAnswer(i, func(a acknowledged) {
			if a.Forced != nil && a.Forced.Replayed {
				n++
			}
		})
	}
	return n
}

// check kills the remaining children and reports all violations.
func (w *world) check() {
	w.t.Helper()
	wrong := w.violations()
	for _, err := range wrong[:min(len(wrong), 20)] {
		w.t.Error(err)
	}
	if len(wrong) > 0 {
		w.t.Logf("%d violations, of which up to 20 are shown. The moments of kills are random. To see them again: "+
			"KILLS=300 go test ./rotation/service/internal/killtest -run '^%s$' -v", len(wrong), w.t.Name())
	}
	if n := w.replayed(); w.killed.children >= 30 && n == 0 {
		w.t.Error("no answer was replayed after a kill, so the test proves nothing")
	}
}

// violations repeats calls without a recorded answer, rotates due cards, delivers the
// remaining events, and then checks everything from outside.
func (w *world) violations() (wrong []error) {
	w.t.Helper()
	ctx := context.Background()
	for i := range w.children {
		w.kill(i)
	}
	o := w.orders
	s, e, err := o.open()
	must.Do(w.t, err)
	defer s.Close()
	h := enginecheck.History{Guard: guard, Complete: true}
	var intervals []acknowledged
	automatic := 0
	for i := range w.children {
		o.Child = i
		var answered [callers]int
		w.eachAnswer(i, func(a acknowledged) {
			if a.Forced == nil {
				intervals = append(intervals, a)
				return
			}
			answered[a.Caller]++
			h.Answers = append(h.Answers, *a.Forced)
		})
		for caller, n := range answered {
			ref, req := o.call(caller, n)
			result, err := e.Force(ctx, ref, req)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("a repeated call: %w", err))
				continue
			}
			h.Answers = append(h.Answers, result)
		}
	}
	for {
		h.At = must.Get(s.Now(ctx))(w.t)
		if n, err := e.Tick(ctx); err != nil {
			w.t.Fatal(err)
		} else if n == 0 {
			break
		}
	}
	h.Cards = must.Get(s.ListCards(ctx, "", 1000))(w.t)
	for {
		after := int64(0)
		if len(h.Events) > 0 {
			after = h.Events[len(h.Events)-1].Position
		}
		more := must.Get(s.ListEvents(ctx, after, 1000))(w.t)
		if len(more) == 0 {
			break
		}
		h.Events = append(h.Events, more...)
	}
	h.Delivered = w.deliver(s)
	wrong = append(wrong, enginecheck.Audit(h)...)
	wrong = append(wrong, checkIntervals(h, intervals)...)
	for _, c := range h.Cards {
		if _, err := e.Reveal(ctx, engine.AnyAccount(c.ID)); err != nil {
			wrong = append(wrong, fmt.Errorf("card %s: reveal: %w", c.ID, err))
		}
	}
	for _, q := range h.Events {
		if strings.Contains(string(q.Payload), "AUTOMATIC") {
			automatic++
		}
	}
	w.t.Logf("killed %d children and %d servers; %d forced calls, %d of them replayed; %d interval changes; %d automatic rotations; %d events, %d deliveries",
		w.killed.children, w.killed.servers, len(h.Answers), w.replayed(), len(intervals), automatic, len(h.Events), len(h.Delivered))
	return wrong
}

// deliver delivers the remaining events, and returns all deliveries.
func (w *world) deliver(s store.Store) (all []store.Event) {
	w.t.Helper()
	sink := must.Get(w.orders.sink())(w.t)
	defer sink.Close()
	relay := must.Get(outbox.New(s, sink, outbox.Options{Poll: 10 * time.Millisecond, LeaseRetry: 30 * time.Millisecond}))(w.t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	for ctx.Err() == nil {
		waiting, err := s.ListWaiting(ctx, 1, nil)
		if err == nil && len(waiting) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond) // no notification without polling
	}
	cancel()
	must.Do(w.t, <-done)
	must.Do(w.t, readLines(w.orders.eventsFile(), func(line []byte) {
		c, err := event.Parse(line)
		if err != nil {
			w.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, store.Event{Card: c.Card, Number: c.Number, At: c.At})
	}))
	return all
}

// checkIntervals returns an error for each confirmed interval that differs from the one
// that the events up to that time have set.
func checkIntervals(h enginecheck.History, answered []acknowledged) (wrong []error) {
	byCard := map[string][]event.Changed{}
	for _, q := range h.Events {
		if c, err := event.Parse(q.Payload); err == nil {
			byCard[q.Card] = append(byCard[q.Card], c)
		}
	}
	for _, a := range answered {
		var interval time.Duration
		for _, c := range byCard[a.Card] {
			if !c.At.After(a.At) {
				interval = c.Interval
			}
		}
		if interval != a.Interval {
			wrong = append(wrong, fmt.Errorf("card %s: interval %v was confirmed at %v, but the events until then set %v", a.Card, a.Interval, a.At, interval))
		}
	}
	return wrong
}
