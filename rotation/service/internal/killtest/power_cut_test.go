package killtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/internal/powertest"
	"cvvrotation/sim/must"
)

// traced is the work of a child whose system calls are recorded. It repeats unanswered
// calls in sequence before it writes anything else, and then makes more, with engine and
// relay running. It writes answers and events to standard output.
func (o *orders) traced() error {
	endWithParent()
	time.AfterFunc(patience, func() {
		fmt.Println("timeout after", patience)
		os.Exit(1)
	})
	var connections []driver.ExecQuerierContext
	driver.RegisterConnectionHook(func(c driver.ExecQuerierContext, _ string) error {
		connections = append(connections, c)
		return nil
	})
	s, e, err := o.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, c := range connections { // not in use yet
		for _, p := range o.Pragmas {
			if _, err := c.ExecContext(ctx, "PRAGMA "+p, nil); err != nil {
				return err
			}
		}
	}
	if err := together(cards, func(i int) error { return registerNew(s, e, i) }); err != nil {
		return err
	}
	for i, n := range o.Answered {
		if err := o.force(ctx, e, i, n, n+1, os.Stdout); err != nil {
			return err
		}
	}
	sink, err := jsonl.New(lines{os.Stdout})
	if err != nil {
		return err
	}
	relay, err := outbox.New(s, sink, outbox.Options{Poll: 10 * time.Millisecond, Batch: 20})
	if err != nil {
		return err
	}
	others := []func() error{
		func() error { return e.Run(ctx) },
		func() error { return relay.Run(ctx) },
		func() error { return o.reschedule(ctx, e, os.Stdout) },
	}
	ended := make(chan error)
	go func() { ended <- together(len(others), func(i int) error { return others[i]() }) }()
	err = together(callers, func(i int) error { return o.force(ctx, e, i, o.Answered[i]+1, o.Answered[i]+o.Calls, os.Stdout) })
	cancel()
	err = errors.Join(err, <-ended)
	if o.Close {
		err = errors.Join(err, s.Close())
	}
	return err
}

// registerNew registers a card unless it exists, and records the answer.
func registerNew(s store.Store, e *engine.Engine, i int) error {
	card := refOf(uint64(i)).Card
	if _, err := s.Card(context.Background(), card); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	set, err := register(e, i)
	if err != nil {
		return err
	}
	return note(os.Stdout, acknowledged{Caller: -1, Card: card, At: set.At, Interval: set.Interval})
}

// together calls f with 0 to n-1 concurrently.
func together(n int, f func(int) error) (err error) {
	errs := make(chan error)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	for range n {
		err = errors.Join(err, <-errs)
	}
	return err
}

// hasty is a store that returns before it commits.
type hasty struct{ store.Store }

func (h hasty) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	called := make(chan error, 3) // fn may be called again
	go func() {
		if err := h.Store.Update(ctx, id, key, func(change *store.Change) error {
			err := fn(change)
			called <- err
			return err
		}); err != nil {
			called <- err
		}
	}()
	return <-called
}

// The first child creates the database and is killed, the second ends in a power cut,
// the third is killed, and the last one closes the store. The test cuts the power at
// random moments of all four, and checks what is left.
func TestPowerCuts_LoseNoAnswer(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	const lives, round = 4, 120 // cuts in a round, which limits memory
	n := number(t, "CUTS", round)
	w := newWorld(t, 1)
	w.orders.Calls, w.orders.Pragmas = 40, smallLog
	for done := 0; done < n; done += round {
		t.Run(fmt.Sprint("from ", done), func(t *testing.T) {
			w.t = t
			disk, output := powertest.NewDisk(nil), ""
			for life := range lives {
				w.orders.Close = life == lives-1
				run := w.trace(disk.Cut(powertest.KeepAll, w.random), output+disk.Output())
				end := run.Moments() - 1
				if !w.orders.Close {
					end = w.pick(run.Syncs())
				}
				plan := w.plan(run, end, (min(n-done, round)+lives-1)/lives)
				w.play(disk, run, func(moment int) bool {
					for _, way := range plan[moment] {
						image, said := disk.Cut(way, w.random), output+disk.Output()
						t.Run(fmt.Sprintf("life %d, moment %d, %v", life, moment, way), func(t *testing.T) {
							t.Parallel()
							for _, err := range w.orders.check(t, image, said) {
								t.Error(err)
							}
						})
					}
					return moment < end
				})
				if life == 1 {
					output += disk.Output()
					disk = powertest.NewDisk(disk.Cut(powertest.KeepTorn, w.random))
				}
			}
		})
	}
}

// smallLog makes checkpoints and restarts of the write-ahead log frequent.
var smallLog = []string{"wal_autocheckpoint = 30"}

// plan returns n power cuts up to the last moment: a third while the database is
// opened, a third just after an output, a third at any time.
func (w *world) plan(run *powertest.Run, last, n int) map[int][]powertest.Mode {
	plan := map[int][]powertest.Mode{}
	outputs := upTo(run.Outputs(), last)
	for i := range n {
		moment := w.random.IntN(last + 1)
		if i%3 == 0 && len(outputs) > 0 {
			moment = w.random.IntN(outputs[0])
		} else if i%3 == 1 && len(outputs) > 0 {
			moment = w.pick(outputs)
		}
		plan[moment] = append(plan[moment], powertest.Mode(w.random.IntN(int(powertest.Modes))))
	}
	return plan
}

func upTo(moments []int, last int) []int {
	return slices.DeleteFunc(moments, func(m int) bool { return m > last })
}

func (w *world) pick(moments []int) int {
	w.t.Helper()
	if len(moments) == 0 {
		w.t.Fatal("a process without syncs or outputs")
	}
	return moments[w.random.IntN(len(moments))]
}

// A process finds what a killed one had written but not synced. It must sync that before
// it answers from it.
func TestPowerCut_AfterAKillLosesNoAnswer(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.orders.Calls = 1
	first := w.trace(nil, "")
	answered := first.Outputs()[cards] // the first forced call; by then nothing else is written
	syncs := upTo(first.Syncs(), answered)
	killed := syncs[len(syncs)-1]
	disk := powertest.NewDisk(nil)
	w.play(disk, first, func(moment int) bool { return moment < killed })
	second := w.trace(disk.Cut(powertest.KeepAll, w.random), disk.Output())
	again := second.Outputs()[0]
	w.play(disk, second, func(moment int) bool { return moment < again })
	for _, err := range w.orders.check(t, disk.Cut(powertest.KeepNothing, w.random), disk.Output()) {
		t.Error(err)
	}
}

// The checks find a store that does not wait for the disk.
func TestPowerCuts_FindUnsyncedCommits(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	for name, o := range map[string]orders{
		"synchronous=NORMAL":        {Pragmas: []string{"synchronous = 1"}},
		"synchronous=OFF":           {Pragmas: []string{"synchronous = 0"}},
		"returns before it commits": {Bug: "hasty"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.orders.Calls, w.orders.Pragmas, w.orders.Bug = 10, o.Pragmas, o.Bug
			run := w.trace(nil, "")
			w.orders.Bug = ""
			disk, found := powertest.NewDisk(nil), false
			outputs := run.Outputs()
			w.play(disk, run, func(moment int) bool {
				if slices.Contains(outputs, moment) {
					wrong := w.orders.check(t, disk.Cut(powertest.KeepNothing, w.random), disk.Output())
					found = slices.ContainsFunc(wrong, func(err error) bool { return strings.Contains(err.Error(), "was answered") })
				}
				return !found
			})
			if !found {
				t.Error("no lost answer was found")
			}
		})
	}
}

func (w *world) play(disk *powertest.Disk, run *powertest.Run, at func(moment int) bool) {
	w.t.Helper()
	must.Do(w.t, disk.Play(run, at))
}

// trace runs a child on the files of image, after the given output of previous ones.
func (w *world) trace(image powertest.Image, output string) *powertest.Run {
	w.t.Helper()
	o := w.orders.on(w.t, image, output)
	(&world{t: w.t, orders: o}).eachAnswer(0, func(a acknowledged) {
		if a.Caller >= 0 {
			o.Answered[a.Caller]++
		}
	})
	must.Do(w.t, errors.Join(os.Remove(o.answersFile()), os.Remove(o.eventsFile())))
	cmd := childOf(w.t, o)
	run := must.Get(powertest.Trace(w.t, o.Dir, cmd))(w.t)
	return run
}

// on returns orders for a folder with the files of image and of the given output.
func (o orders) on(t *testing.T, image powertest.Image, output string) orders {
	t.Helper()
	o.Dir = must.Get(filepath.EvalSymlinks(t.TempDir()))(t) // like SQLite
	o.Path = filepath.Join(o.Dir, "cards.db")
	var answers, events []byte
	for line := range strings.Lines(output) {
		if _, err := event.Parse([]byte(line)); err == nil {
			events = append(events, line...)
		} else {
			answers = append(answers, line...)
		}
	}
	must.Do(t, errors.Join(image.Write(o.Dir), os.WriteFile(o.answersFile(), answers, 0o600), os.WriteFile(o.eventsFile(), events, 0o600)))
	return o
}

// check returns the violations in the files that a power cut has left, after the given
// output.
func (o orders) check(t *testing.T, image powertest.Image, output string) (wrong []error) {
	t.Helper()
	o = o.on(t, image, output)
	s, e, err := o.open()
	if err != nil {
		return []error{err}
	}
	defer s.Close()
	db := must.Get(sql.Open("sqlite", o.Path))(t)
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		wrong = append(wrong, fmt.Errorf("integrity check: %s, %v", verdict, err))
	}
	events, err := s.ListEvents(t.Context(), 0, 1_000_000)
	if err != nil {
		return append(wrong, err)
	}
	stored := map[string]bool{}
	for _, q := range events {
		stored[string(q.Payload)] = true
	}
	must.Do(t, readLines(o.eventsFile(), func(line []byte) {
		if !stored[strings.TrimSpace(string(line))] {
			wrong = append(wrong, fmt.Errorf("a delivered event is not stored: %s", line))
		}
	}))
	answered, last := o.Answered, map[int]engine.Rotation{}
	w := &world{t: t, orders: o, children: make([]*process, 1)}
	w.eachAnswer(0, func(a acknowledged) {
		if a.Forced != nil {
			answered[a.Caller]++
			last[a.Caller] = *a.Forced
		}
	})
	for caller, want := range last {
		want.Replayed = true
		ref, req := o.call(caller, answered[caller]-1)
		got, err := e.Force(t.Context(), ref, req)
		got.Effect = engine.Effect{} // each call has its own
		if err != nil || got != want {
			wrong = append(wrong, fmt.Errorf("a call was answered %+v, but its repetition %+v, %v", want, got, err))
		}
	}
	for i := range cards { // the power may have been cut before its registration
		if _, err := s.Card(t.Context(), refOf(uint64(i)).Card); errors.Is(err, store.ErrNotFound) {
			if _, err := register(e, i); err != nil {
				return append(wrong, err)
			}
		}
	}
	return append(wrong, w.violations()...)
}
