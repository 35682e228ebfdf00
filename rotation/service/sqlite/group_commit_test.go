package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/benbjohnson/clock"
	"modernc.org/sqlite"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// onCommit calls f before each commit that changes something; false aborts it. The
// writer must be idle.
func onCommit(s *Store, f func() bool) {
	s.writer.Conn.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
		if f() {
			return 0
		}
		return 1
	})
}

// inBubble calls work with a store in a bubble of synctest, where synctest.Wait returns
// when all calls wait for the writer.
func inBubble(t *testing.T, work func(*testing.T, *Store)) {
	path := tempFile(t)
	synctest.Test(t, func(t *testing.T) {
		s := must.Get(Open(t.Context(), path, Options{Clock: clock.NewMock()}))(t)
		defer s.Close()
		work(t, s)
	})
}

// occupy starts an update that keeps the writer busy until finish is called.
func occupy(t *testing.T, s *Store) (finish func()) {
	inside, finished, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.Update(context.Background(), "holder", "", func(change *store.Change) error {
			select {
			case <-inside:
			default:
				close(inside)
			}
			<-finished
			return count(change)
		})
	}()
	<-inside
	return func() {
		close(finished)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestUpdate_WaitingOnesShareACommit(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		commits := 0
		onCommit(s, func() bool { commits++; return true })
		finish := occupy(t, s)
		const n = 100
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { put(t, s, fmt.Sprint(i)) })
		}
		synctest.Wait()
		finish()
		wg.Wait()
		if commits != 1 {
			t.Errorf("%d updates took %d commits", n+1, commits)
		}
		put(t, s, "later")
		if commits != 2 {
			t.Errorf("%d commits after one more update, want 2", commits)
		}
	})
}

func TestUpdate_GroupIsLimitedToMaxGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		commits := 0
		onCommit(s, func() bool { commits++; return true })
		finish := occupy(t, s)
		var wg sync.WaitGroup
		for i := range 2 * maxGroup {
			wg.Go(func() { put(t, s, fmt.Sprint(i)) })
		}
		synctest.Wait()
		finish()
		wg.Wait()
		if commits != 3 {
			t.Errorf("%d updates took %d commits", 2*maxGroup+1, commits)
		}
	})
}

func TestUpdate_ErrorAndPanicReachTheirCallerAlone(t *testing.T) {
	own := errors.New("own")
	inBubble(t, func(t *testing.T, s *Store) {
		commits := 0
		onCommit(s, func() bool { commits++; return true })
		finish := occupy(t, s)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { put(t, s, fmt.Sprint(i)) })
			wg.Go(func() {
				if err := s.Update(t.Context(), fmt.Sprint(i), "", func(change *store.Change) error {
					_ = count(change)
					return own
				}); err != own {
					t.Errorf("got %v", err)
				}
			})
			wg.Go(func() {
				defer func() {
					if p := recover(); p != "oh" {
						t.Errorf("the caller recovered %v", p)
					}
				}()
				_ = s.Update(t.Context(), fmt.Sprint(i), "", func(change *store.Change) error {
					_ = count(change)
					panic("oh")
				})
			})
		}
		synctest.Wait()
		finish()
		wg.Wait()
		for i := range 5 {
			if v := version(t, s, fmt.Sprint(i)); v != 1 {
				t.Errorf("card %d has version %d", i, v)
			}
		}
		if commits != 1 {
			t.Errorf("it took %d commits", commits)
		}
	})
}

func TestUpdate_FailedGroupIsRetriedOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		commits, calls := 0, 0
		onCommit(s, func() bool { commits++; return commits > 1 })
		finish := occupy(t, s)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := s.Update(context.Background(), "A", "", func(change *store.Change) error {
					calls++ // without a race: one at a time
					return count(change)
				}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		finish()
		wg.Wait()
		if commits != 1+6 || calls != 2*5 {
			t.Errorf("%d commits, %d calls", commits, calls)
		}
		must.Equal(t, upTo(5), numbers(t, s, "A"))
	})
}

func TestCommitFailure_IsReturnedByEveryMethod(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	put(t, s, "A")
	allow := false
	onCommit(s, func() bool { return allow })
	if err := s.Update(t.Context(), "A", "", count); err == nil {
		t.Error("Update succeeded")
	}
	if n, err := s.Claim(t.Context(), 1, count); err == nil || n != 0 {
		t.Errorf("Claim returned %d, %v", n, err)
	}
	if err := s.RecordDeliveries(t.Context(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}); err == nil {
		t.Error("RecordDeliveries succeeded")
	}
	allow = true
	put(t, s, "A")
	must.Equal(t, upTo(2), numbers(t, s, "A"))
	if st, err := s.Stats(t.Context()); err != nil || st.Waiting != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}

// One update of a group does not fit on the disk; the others are stored.
func TestUpdate_FullDiskFailsOnlyWhatDoesNotFit(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		finish := occupy(t, s)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { put(t, s, fmt.Sprint(i)) })
		}
		wg.Go(func() {
			err := s.Update(t.Context(), "big", "", func(change *store.Change) error {
				_ = count(change)
				change.Event.Payload = make([]byte, 1<<20)
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "make room") {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		must.Do(t, s.writer.script(t.Context(), "PRAGMA max_page_count = 100"))
		finish()
		wg.Wait()
		// Fill the disk.
		var stored int64
		var full error
		for full == nil && stored < 10_000 {
			if full = s.Update(t.Context(), "A", "", func(change *store.Change) error {
				_ = count(change)
				change.Event.Payload = make([]byte, 500)
				return nil
			}); full == nil {
				stored++
			}
		}
		if full == nil || stored == 0 || version(t, s, "A") != stored {
			t.Errorf("%d updates, then %v; version %d", stored, full, version(t, s, "A"))
		}
		must.Do(t, s.writer.script(t.Context(), "PRAGMA max_page_count = 100000"))
		put(t, s, "A")
		must.Equal(t, upTo(stored+1), numbers(t, s, "A"))
		if _, err := s.Card(t.Context(), "big"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the card that did not fit: %v", err)
		}
		if got := ask(t, s.writer, "PRAGMA integrity_check"); got != "ok" {
			t.Error(got)
		}
	})
}

func TestUpdate_CanceledWhileQueuedIsNotCalled(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		finish := occupy(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		never := func(change *store.Change) error {
			t.Error("called")
			return count(change)
		}
		go func() { errs <- s.Update(ctx, "A", "", never) }()
		go func() { _, err := s.Claim(ctx, 1, never); errs <- err }()
		synctest.Wait()
		cancel()
		for range 2 { // while the writer is still busy
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		finish()
		if _, err := s.Card(t.Context(), "A"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUpdate_CanceledInsideFnIsCommitted(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	must.Do(t, s.Update(ctx, "A", "", func(change *store.Change) error {
		cancel()
		return count(change)
	}))
	if version(t, s, "A") != 1 {
		t.Error("not stored")
	}
}

// Groups of updates and claims alternate while both wait.
func TestWriter_AlternatesUpdatesAndClaims(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		finish := occupy(t, s)
		var mu sync.Mutex
		var order []string
		did := func(what string) func(*store.Change) error {
			return func(change *store.Change) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, what)
				change.Card.Due = change.Now
				change.Write = true
				return nil
			}
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _ = s.Claim(context.Background(), 1, did("claim")) })
		}
		for range maxGroup + 1 {
			wg.Go(func() { _ = s.Update(context.Background(), "A", "", did("update")) })
		}
		synctest.Wait()
		finish()
		wg.Wait()
		var turns []string
		for i, what := range order {
			if i == 0 || what != order[i-1] {
				turns = append(turns, what)
			}
		}
		must.Equal(t, []string{"update", "claim", "update", "claim"}, turns)
	})
}

// An update that arrives during a claim runs before the next claim.
func TestUpdate_WaitsForOneClaimOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		put(t, s, "A")
		inside, release := make(chan struct{}), make(chan struct{})
		var order []string
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = s.Claim(t.Context(), 1, func(change *store.Change) error {
				close(inside)
				<-release
				return nil
			})
		})
		<-inside
		wg.Go(func() {
			_, _ = s.Claim(t.Context(), 1, func(*store.Change) error { order = append(order, "claim"); return nil })
		})
		synctest.Wait()
		wg.Go(func() {
			_ = s.Update(t.Context(), "A", "", func(*store.Change) error { order = append(order, "update"); return nil })
		})
		synctest.Wait()
		close(release)
		wg.Wait()
		must.Equal(t, []string{"update", "claim"}, order)
	})
}

func TestChange_FailingHalfwayRollsBack(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	if _, err := s.change(t.Context(), func(c *conn) (int64, error) {
		if _, err := c.exec(t.Context(), insertEvent, "A", int64(1), nil, int64(0), nil); err != nil {
			t.Error(err)
		}
		return c.exec(t.Context(), insertEvent, nil, nil, nil, nil, nil)
	}); err == nil {
		t.Error("no error")
	}
	put(t, s, "A")
	must.Equal(t, upTo(1), numbers(t, s, "A"))
}

func TestClose_WaitsForBegunCallsAndRefusesOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		finish := occupy(t, s)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := s.Update(context.Background(), "A", "", count); !errors.Is(err, store.ErrClosed) {
					t.Errorf("a queued call: %v", err)
				}
			})
		}
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for a call that had begun")
		default:
		}
		if _, err := s.Card(context.Background(), "A"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a new call: %v", err)
		}
		finish()
		must.Do(t, <-closed)
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

// The driver returns the context's error even if BEGIN succeeded. A transaction left
// open would make every later BEGIN fail.
func TestUpdate_CanceledDuringBeginLeavesNoTransaction(t *testing.T) {
	s := must.Get(Open(t.Context(), tempFile(t), Options{}))(t)
	defer s.Close()
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Update(ctx, "canceled", "", count)
		}()
		for range i % 50 {
			runtime.Gosched() // so that it is canceled at another moment each time
		}
		cancel()
		<-done
		if err := s.Update(t.Context(), "next", "", count); err != nil {
			t.Fatalf("after %d: %v", i+1, err)
		}
	}
}
