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
)

// errand is what a child does whose system calls are recorded. It makes the calls
// again that were not answered, one by one, before it writes anything else, and
// then some more, with the engine and the relay at work. What it tells anybody,
// answers and events, it writes to standard output.
func (o *orders) errand() error {
	endWithParent()
	time.AfterFunc(patience, func() {
		fmt.Println("not done after", patience)
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
	for _, c := range connections { // which nobody uses yet
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

// registerNew registers a card that there is not yet, and notes the answer.
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

// together calls f with 0 to n-1 at the same time.
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

// hasty answers before it commits.
type hasty struct{ store.Store }

func (h hasty) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	called := make(chan error, 3) // fn may be called again
	go func() {
		if err := h.Store.Update(ctx, id, key, func(tx *store.Change) error {
			err := fn(tx)
			called <- err
			return err
		}); err != nil {
			called <- err
		}
	}()
	return <-called
}

// A child creates the database and is killed; the next one goes on and ends in a
// power cut; the third goes on from there and is killed; the last one closes the
// store. At moments of all their lives the power is cut for good.
func TestPowerCuts(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	const lives, round = 4, 120 // cuts in a round, whose disks are in memory
	n := number(t, "CUTS", round)
	w := newWorld(t, 1)
	w.orders.Calls, w.orders.Pragmas = 40, smallLog
	for done := 0; done < n; done += round {
		t.Run(fmt.Sprint("from ", done), func(t *testing.T) {
			w.t = t
			disk, told := powertest.NewDisk(nil), ""
			for life := range lives {
				w.orders.Close = life == lives-1
				run := w.trace(disk.Cut(powertest.Everything, w.random), told+disk.Said())
				end := run.Moments() - 1
				if !w.orders.Close {
					end = w.pick(run.Syncs())
				}
				plan := w.plan(run, end, (min(n-done, round)+lives-1)/lives)
				w.play(disk, run, func(moment int) bool {
					for _, way := range plan[moment] {
						image, said := disk.Cut(way, w.random), told+disk.Said()
						t.Run(fmt.Sprintf("life %d, moment %d, %v", life, moment, way), func(t *testing.T) {
							t.Parallel()
							for _, err := range w.orders.judge(t, image, said) {
								t.Error(err)
							}
						})
					}
					return moment < end
				})
				if life == 1 {
					told += disk.Said()
					disk = powertest.NewDisk(disk.Cut(powertest.Torn, w.random))
				}
			}
		})
	}
}

// smallLog makes checkpoints, and new beginnings of the write-ahead log, frequent.
var smallLog = []string{"wal_autocheckpoint = 30"}

// plan says at which moments up to the last one to cut the power n times, and how:
// a third while the database is opened, a third when something was just told, a
// third at any time.
func (w *world) plan(run *powertest.Run, last, n int) map[int][]powertest.Way {
	plan := map[int][]powertest.Way{}
	says := upTo(run.Says(), last)
	for i := range n {
		moment := w.random.IntN(last + 1)
		if i%3 == 0 && len(says) > 0 {
			moment = w.random.IntN(says[0])
		} else if i%3 == 1 && len(says) > 0 {
			moment = w.pick(says)
		}
		plan[moment] = append(plan[moment], powertest.Way(w.random.IntN(int(powertest.Ways))))
	}
	return plan
}

func upTo(moments []int, last int) []int {
	return slices.DeleteFunc(moments, func(m int) bool { return m > last })
}

func (w *world) pick(moments []int) int {
	w.t.Helper()
	if len(moments) == 0 {
		w.t.Fatal("a life in which nothing was synced, or told")
	}
	return moments[w.random.IntN(len(moments))]
}

// What a process had written, but not synced, when it was killed, the next one
// finds. What that tells of it must be synced first.
func TestPowerCutAfterAKill(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.orders.Calls = 1
	first := w.trace(nil, "")
	answered := first.Says()[cards] // the first forced call; by then nothing else is written
	syncs := upTo(first.Syncs(), answered)
	killed := syncs[len(syncs)-1]
	disk := powertest.NewDisk(nil)
	w.play(disk, first, func(moment int) bool { return moment < killed })
	second := w.trace(disk.Cut(powertest.Everything, w.random), disk.Said())
	again := second.Says()[0]
	w.play(disk, second, func(moment int) bool { return moment < again })
	for _, err := range w.orders.judge(t, disk.Cut(powertest.Nothing, w.random), disk.Said()) {
		t.Error(err)
	}
}

// The test finds what is wrong: a store that does not wait for the disk.
func TestPowerCutsFind(t *testing.T) {
	powertest.Need(t)
	t.Parallel()
	for name, o := range map[string]orders{
		"synchronous=NORMAL":        {Pragmas: []string{"synchronous = 1"}},
		"synchronous=OFF":           {Pragmas: []string{"synchronous = 0"}},
		"answers before it commits": {Bug: "hasty"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.orders.Calls, w.orders.Pragmas, w.orders.Bug = 10, o.Pragmas, o.Bug
			run := w.trace(nil, "")
			w.orders.Bug = ""
			disk, found := powertest.NewDisk(nil), false
			says := run.Says()
			w.play(disk, run, func(moment int) bool {
				if slices.Contains(says, moment) {
					wrong := w.orders.judge(t, disk.Cut(powertest.Nothing, w.random), disk.Said())
					found = slices.ContainsFunc(wrong, func(err error) bool { return strings.Contains(err.Error(), "was answered") })
				}
				return !found
			})
			if !found {
				t.Error("no answer was found to be lost")
			}
		})
	}
}

func (w *world) play(disk *powertest.Disk, run *powertest.Run, at func(moment int) bool) {
	w.t.Helper()
	if err := disk.Play(run, at); err != nil {
		w.t.Fatal(err)
	}
}

// trace runs a child on what is on the disk, with what was told before.
func (w *world) trace(image powertest.Image, told string) *powertest.Run {
	w.t.Helper()
	o := w.orders.on(w.t, image, told)
	(&world{t: w.t, orders: o}).eachAnswer(0, func(a acknowledged) {
		if a.Caller >= 0 {
			o.Answered[a.Caller]++
		}
	})
	if err := errors.Join(os.Remove(o.answersFile()), os.Remove(o.eventsFile())); err != nil {
		w.t.Fatal(err)
	}
	cmd := childOf(w.t, o)
	run, err := powertest.Trace(w.t, o.Dir, cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

// on returns orders for a folder with these files, and with what was told.
func (o orders) on(t *testing.T, image powertest.Image, told string) orders {
	t.Helper()
	var err error
	if o.Dir, err = filepath.EvalSymlinks(t.TempDir()); err != nil { // SQLite does so, too
		t.Fatal(err)
	}
	o.Path = filepath.Join(o.Dir, "cards.db")
	var answers, events []byte
	for line := range strings.Lines(told) {
		if _, err := event.Parse([]byte(line)); err == nil {
			events = append(events, line...)
		} else {
			answers = append(answers, line...)
		}
	}
	if err = errors.Join(image.Write(o.Dir), os.WriteFile(o.answersFile(), answers, 0o600), os.WriteFile(o.eventsFile(), events, 0o600)); err != nil {
		t.Fatal(err)
	}
	return o
}

// judge returns what is wrong with what a power cut has left, given what was told.
func (o orders) judge(t *testing.T, image powertest.Image, told string) (wrong []error) {
	t.Helper()
	o = o.on(t, image, told)
	s, e, err := o.open()
	if err != nil {
		return []error{err}
	}
	defer s.Close()
	db, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		wrong = append(wrong, fmt.Errorf("the integrity check says %s, %v", verdict, err))
	}
	events, err := s.ListEvents(t.Context(), 0, 1_000_000)
	if err != nil {
		return append(wrong, err)
	}
	stored := map[string]bool{}
	for _, q := range events {
		stored[string(q.Payload)] = true
	}
	if err := readLines(o.eventsFile(), func(line []byte) {
		if !stored[strings.TrimSpace(string(line))] {
			wrong = append(wrong, fmt.Errorf("an event was delivered that is not stored: %s", line))
		}
	}); err != nil {
		t.Fatal(err)
	}
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
		if got, err := e.Force(t.Context(), ref, req); err != nil || got != want {
			wrong = append(wrong, fmt.Errorf("a call was answered %+v, and then %+v, %v", want, got, err))
		}
	}
	for i := range cards { // the last of them may not have come to be registered
		if _, err := s.Card(t.Context(), refOf(uint64(i)).Card); errors.Is(err, store.ErrNotFound) {
			if _, err := register(e, i); err != nil {
				return append(wrong, err)
			}
		}
	}
	return append(wrong, w.wrong()...)
}
