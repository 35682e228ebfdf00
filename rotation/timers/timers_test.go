package timers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/timers"
	"cvvrotation/rotation/timers/timerstest"
)

const day = 24 * time.Hour

// service keeps the states of cards and records what is rotated.
type service struct {
	t     testing.TB
	clock clock.Clock
	start time.Time
	*timers.Timers

	mu     sync.Mutex
	states map[string]rotation.State
	log    []string           // each callback: card, and time since start
	before func(string) error // called by the callback before it loads
	after  func(string)       // called by the callback after it has persisted
	logged strings.Builder    // what Timers logs
}

func newService(t testing.TB, clk clock.Clock, workers int) *service {
	s := &service{t: t, clock: clk, start: clk.Now(), states: map[string]rotation.State{}}
	s.before, s.after = func(string) error { return nil }, func(string) {}
	var err error
	s.Timers, err = timers.New(clk, s.rotate, timers.Options{Workers: workers, Logger: slog.New(slog.NewTextHandler(&s.logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rotate is the callback.
func (s *service) rotate(_ context.Context, card string) (rotation.State, error) {
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf("%s %v", card, s.clock.Now().Sub(s.start)))
	s.mu.Unlock()
	if err := s.before(card); err != nil {
		return rotation.State{}, err
	}
	s.mu.Lock()
	state := s.states[card]
	if e, due := state.Due(s.clock.Now()); due {
		state = s.decide(state, e)
	}
	s.states[card] = state
	s.mu.Unlock()
	s.after(card)
	return state, nil
}

func (s *service) decide(state rotation.State, e rotation.Event) rotation.State {
	state, _, err := rotation.Rules{}.Decide(state, e)
	if err != nil {
		s.t.Error(err)
	}
	return state
}

// call persists what an event does and returns the state, which it does not arm.
func (s *service) call(card string, e rotation.Event) rotation.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[card] = s.decide(s.states[card], e)
	return s.states[card]
}

// daily arms a card with an interval of 24 hours and the first slot after first.
func (s *service) daily(card string, first time.Duration) {
	now := s.clock.Now()
	s.Arm(card, s.call(card, rotation.SetIntervalFirst(now, day, now.Add(first))))
}

func (s *service) want(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.log, want) {
		s.t.Errorf("callbacks %q\nwant %q", s.log, want)
	}
	s.log = nil
}

// run starts Run; stop stops it and waits for it.
func (s *service) run() (stop func()) {
	done := make(chan error)
	go func() { done <- s.Run(s.t.Context()) }()
	return func() {
		s.Stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

// each runs a test on both clocks that tests have: the real one in a bubble, with and
// without Run, and a mock, likewise.
func each(t *testing.T, workers int, test func(t *testing.T, s *service, advance func(time.Duration))) {
	t.Run("synctest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, clock.New(), workers)
			defer s.run()()
			test(t, s, func(d time.Duration) {
				s.Tick(t.Context()) // its lock orders what the test wrote before what callbacks read
				time.Sleep(d)
				synctest.Wait()
			})
		})
	})
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprint("mock, Run is running: ", running), func(t *testing.T) {
			mock := clock.NewMock()
			mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
			s := newService(t, mock, workers)
			stop := s.Stop
			if running {
				stop = s.run()
			}
			defer stop()
			test(t, s, func(d time.Duration) { timerstest.Advance(mock, d) })
		})
	}
}

func TestRun_DeliversSlotsInOrder(t *testing.T) {
	each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
		for _, card := range []string{"C", "B", "D", "A"} { // of one instant by id, whatever the order of Arm
			s.daily(card, 12*time.Hour)
		}
		s.daily("late", 12*time.Hour+1)
		s.daily("early", 12*time.Hour-1)
		advance(72 * time.Hour)
		var want []string
		for n := range 3 {
			at := time.Duration(n)*day + 12*time.Hour
			want = append(want, fmt.Sprint("early ", at-1))
			for _, card := range []string{"A", "B", "C", "D"} {
				want = append(want, fmt.Sprint(card, " ", at))
			}
			want = append(want, fmt.Sprint("late ", at+1))
		}
		s.want(want...)
	})
}

func TestTick_DeliversOverdueCardsFirstOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, clock.New(), 1)
		for card, first := range map[string]time.Duration{"C": 3 * time.Hour, "B2": 2 * time.Hour, "A": time.Hour, "B1": 2 * time.Hour, "soon": 5 * time.Hour} {
			s.daily(card, first)
		}
		time.Sleep(4 * time.Hour)
		next, armed := s.Tick(t.Context())
		s.want("A 4h0m0s", "B1 4h0m0s", "B2 4h0m0s", "C 4h0m0s")
		if want := s.start.Add(5 * time.Hour); !armed || !next.Equal(want) {
			t.Errorf("next is %v, %v; want %v", next, armed, want)
		}
		s.Arm("soon", rotation.State{})
		s.want()
		s.Stop()
		if next, armed = s.Tick(t.Context()); armed {
			t.Errorf("after Stop, a card is armed for %v", next)
		}
	})
}

func TestArm_MovesAndCancels(t *testing.T) {
	each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
		for _, card := range []string{"forced", "earlier", "off"} {
			s.daily(card, 12*time.Hour)
		}
		advance(6 * time.Hour)
		s.Arm("forced", s.call("forced", rotation.Forced(s.clock.Now())))
		s.daily("earlier", time.Hour)
		s.Arm("off", s.call("off", rotation.Disable(s.clock.Now())))
		advance(day)
		s.want("earlier 7h0m0s", "forced 30h0m0s")
	})
}

// The callback of the card runs at 12 h. In it another event is persisted and armed,
// before or after the callback persists.
func TestArm_WhileUnderWayLosesNoWakeUp(t *testing.T) {
	for _, test := range []struct {
		name  string
		event func(now time.Time) rotation.Event
		want  []string // between 12 h and 37 h
	}{
		{"an earlier slot", func(now time.Time) rotation.Event {
			return rotation.SetIntervalFirst(now, 12*time.Hour, now.Add(time.Hour))
		}, []string{"A 12h0m0s", "A 13h0m0s", "A 25h0m0s", "A 37h0m0s"}},
		{"a later slot", func(now time.Time) rotation.Event { return rotation.SetInterval(now, 30*time.Hour) }, []string{"A 12h0m0s"}},
		{"off", rotation.Disable, []string{"A 12h0m0s"}},
	} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, armed before the callback persists: %v", test.name, before), func(t *testing.T) {
				each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
					s.daily("A", 12*time.Hour)
					now := s.start.Add(12 * time.Hour)
					event := func(string) {
						if s.clock.Now().Equal(now) {
							s.Arm("A", s.call("A", test.event(now)))
						}
					}
					want := test.want
					if before {
						s.before = func(card string) error { event(card); return nil }
					} else if s.after = event; len(want) == 1 {
						want = append(want, "A 36h0m0s") // of the older state, which the callback returned; nothing is due
					}
					advance(37 * time.Hour)
					s.want(want...)
					next, armed := s.Tick(t.Context())
					if slot, on := s.states["A"].Next(); armed != on || !next.Equal(slot) {
						t.Errorf("armed for %v, %v; the stored slot is %v, %v", next, armed, slot, on)
					}
				})
			})
		}
	}
}

var errStore = errors.New("the store is down")

// A card that fails in any way is retried with back-off, and others are not held up.
func TestRun_RetriesWithBackoff(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   func() error
		logged string
	}{
		{"error", func() error { return errStore }, "the store is down"},
		{"panic", func() error { panic("CVV 123") }, "panic (string)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
				failing := true
				var tries []time.Time
				s.before = func(card string) error {
					if card == "bad" {
						if tries = append(tries, s.clock.Now()); failing {
							return test.fail()
						}
					}
					return nil
				}
				s.daily("bad", time.Hour)
				s.daily("good", time.Hour)
				advance(time.Hour)
				s.want("bad 1h0m0s", "good 1h0m0s")
				advance(11 * time.Hour)
				for i := 1; i < len(tries); i++ {
					full := min(time.Second<<(i-1), time.Hour)
					if wait := tries[i].Sub(tries[i-1]); wait < full/2 || wait > full {
						t.Errorf("try %d came %v after the previous one, want %v to %v", i+1, wait, full/2, full)
					}
				}
				if len(tries) < 20 || len(tries) > 35 {
					t.Errorf("%d tries in 11 hours", len(tries))
				}
				failing = false
				advance(time.Hour)
				if next, _ := s.Tick(t.Context()); !next.Equal(s.start.Add(25 * time.Hour)) {
					t.Errorf("next is %v, want the slot of the next day", next)
				}
				failing, tries = true, nil
				advance(day)
				if len(tries) < 2 || tries[1].Sub(tries[0]) > time.Second {
					t.Errorf("after a success, the back-off did not start again: %v", tries)
				}
				s.Stop()
				if log := s.logged.String(); !strings.Contains(log, test.logged) || strings.Contains(log, "CVV") {
					t.Errorf("logged %.2000s", log)
				}
			})
		})
	}
}

func TestArm_EndsTheBackoff(t *testing.T) {
	each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
		s.before = func(string) error { return errStore }
		s.daily("A", time.Hour)
		advance(10 * time.Hour)
		s.before = func(string) error { return nil }
		s.log = nil
		s.Arm("A", s.call("A", rotation.Forced(s.clock.Now())))
		advance(20 * time.Hour)
		s.want()
		advance(4 * time.Hour)
		s.want("A 34h0m0s")
	})
}

// The clock by which the callback decides is 3 seconds behind.
func TestRun_RetriesASlotThatIsNotServed(t *testing.T) {
	each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
		fast := 0
		behind, err := timers.New(s.clock, func(_ context.Context, card string) (rotation.State, error) {
			fast++
			if e, due := s.states[card].Due(s.clock.Now().Add(-3 * time.Second)); due {
				s.states[card] = s.decide(s.states[card], e)
			}
			return s.states[card], nil
		}, timers.Options{Logger: slog.New(slog.NewTextHandler(&s.logged, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer behind.Stop()
		slot := s.start.Add(time.Hour)
		behind.Arm("A", s.call("A", rotation.SetIntervalFirst(s.start, day, slot)))
		for range 10 {
			advance(0)
			next, _ := behind.Tick(t.Context())
			if next.Equal(slot.Add(day)) {
				break
			}
			advance(next.Sub(s.clock.Now()))
		}
		next, _ := behind.Tick(t.Context())
		if !next.Equal(slot.Add(day)) || fast > 5 || !strings.Contains(s.logged.String(), "still due") {
			t.Errorf("next is %v after %d callbacks, want %v; logged %.500s", next, fast, slot.Add(day), &s.logged)
		}
	})
}

func TestRun_CancelsACardWhoseStateIsOff(t *testing.T) {
	each(t, 1, func(t *testing.T, s *service, advance func(time.Duration)) {
		s.daily("A", time.Hour)
		s.call("A", rotation.Disable(s.clock.Now())) // by another process, which arms nothing here
		advance(72 * time.Hour)
		s.want("A 1h0m0s")
		if next, armed := s.Tick(t.Context()); armed {
			t.Errorf("still armed for %v", next)
		}
	})
}

func TestRun_BoundsConcurrencyAndDeliversACardOnce(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, clock.New(), workers)
				defer s.run()()
				var mu sync.Mutex
				running, most := map[string]bool{}, 0
				s.after = func(card string) {
					mu.Lock()
					if running[card] {
						t.Errorf("%s is delivered while it is under way", card)
					}
					running[card] = true
					most = max(most, len(running))
					state := s.states[card]
					mu.Unlock()
					s.Arm(card, state)
					time.Sleep(time.Minute)
					mu.Lock()
					delete(running, card)
					mu.Unlock()
				}
				for i := range 10 {
					s.daily(fmt.Sprint(i), time.Hour)
				}
				time.Sleep(time.Hour)
				s.Tick(t.Context()) // beside Run
				if done := s.clock.Now().Sub(s.start); done != time.Hour+time.Duration((10+workers-1)/workers)*time.Minute {
					t.Errorf("Tick returned at %v, before or after the last callback", done)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if len(s.log) != 10 || most != workers {
					t.Errorf("%d callbacks, %d at a time; want 10, %d", len(s.log), most, workers)
				}
				mu.Lock()
				s.after = func(string) {}
				mu.Unlock()
			})
		})
	}
}

func TestStop_WaitsForWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		s := newService(t, clock.New(), 2)
		returned := false
		s.after = func(string) { time.Sleep(time.Hour); returned = true }
		s.daily("A", time.Hour)
		s.daily("B", 90*time.Minute)
		stop := s.run()
		time.Sleep(time.Hour + time.Minute)
		go s.Stop() // two at a time
		stop()
		if now := s.clock.Now().Sub(s.start); !returned || now != 2*time.Hour {
			t.Errorf("Stop returned at %v, the callback: %v", now, returned)
		}
		s.Arm("C", s.states["B"])
		if _, armed := s.Tick(t.Context()); armed {
			t.Error("Arm armed a card after Stop")
		}
		time.Sleep(72 * time.Hour)
		s.want("A 1h0m0s")
		if err := s.Run(t.Context()); err != nil { // returns at once
			t.Error(err)
		}
	})
}

func TestStopAndTick_WaitForTheCallbackOfAnotherTick(t *testing.T) {
	for name, wait := range map[string]func(*service){
		"Stop": func(s *service) { s.Stop() },
		"Tick": func(s *service) { s.Tick(s.t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, clock.New(), 2)
				s.after = func(string) { time.Sleep(time.Hour) }
				s.daily("A", time.Minute)
				time.Sleep(time.Minute)
				go s.Tick(t.Context())
				synctest.Wait()
				if wait(s); s.clock.Now().Sub(s.start) != time.Hour+time.Minute {
					t.Error("it did not wait")
				}
			})
		})
	}
}

func TestStop_BeforeRunEndsRun(t *testing.T) {
	s := newService(t, clock.New(), 1)
	s.Stop()
	if err := s.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRun_OfEndedContextKeepsCardsForTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, clock.New(), 1)
		s.daily("A", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		s.want()
		if next, armed := s.Tick(ctx); !armed || !next.Equal(s.start.Add(time.Hour)) {
			t.Errorf("Tick with an ended context returns %v, %v", next, armed)
		}
		s.want()
		stop := s.run()
		synctest.Wait()
		s.want("A 2h1m0s")
		if err := s.Run(t.Context()); !errors.Is(err, timers.ErrRunning) {
			t.Errorf("a second Run returned %v", err)
		}
		stop()
	})
}

// As t.FailNow does in a callback.
func TestStop_ReturnsAfterACallbackEndedItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, clock.New(), 2)
		s.before = func(card string) error {
			if card == "A" && s.clock.Now().Sub(s.start) == time.Hour {
				runtime.Goexit()
			}
			return nil
		}
		s.daily("A", time.Hour)
		stop := s.run()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(s.log) != 2 {
			t.Errorf("callbacks %q, want a second try", s.log)
		}
		stop()
	})
}

// stepping is a real clock whose wall time steps; its timers do not notice.
type stepping struct {
	clock.Clock
	step atomic.Int64
}

func (c *stepping) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.step.Load())) }

func TestRun_NoticesClockSteps(t *testing.T) {
	for _, test := range []struct {
		step time.Duration
		want []string // by the stepping clock
	}{
		{10 * time.Hour, []string{"A 12h0m0s"}},              // the slot is still ahead
		{12 * time.Hour, []string{"A 13h1m0s", "A 36h0m0s"}}, // within a minute
		{-10 * time.Hour, []string{"A 12h0m0s"}},             // not before
	} {
		t.Run(test.step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clk := &stepping{Clock: clock.New()}
				s := newService(t, clk, 1)
				defer s.run()()
				s.daily("A", 12*time.Hour)
				time.Sleep(time.Hour + time.Second)
				clk.step.Store(int64(test.step))
				time.Sleep(day - time.Hour)
				s.want(test.want...)
			})
		})
	}
}

// With a mock clock, the first Add after Arm finds the timer.
func TestArm_HasCreatedTheTimerWhenItReturns(t *testing.T) {
	mock := clock.NewMock()
	s := newService(t, mock, 1)
	rotated := make(chan string)
	s.after = func(card string) { rotated <- card }
	defer s.run()()
	for range 20 {
		s.daily("A", time.Hour)
		mock.Add(time.Hour)
		<-rotated
	}
}

// Two services on one clock. The callback of the second one arms an overdue card of the
// first one.
func TestAdvance_NeverStepsBackForAnOverdueCard(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	first, second := newService(t, mock, 1), newService(t, mock, 1)
	defer first.Stop()
	defer second.Stop()
	overdue := first.call("A", rotation.SetIntervalFirst(first.start.Add(-time.Hour), day, first.start))
	second.after = func(string) { first.Arm("A", overdue) }
	second.daily("B", time.Hour)
	timerstest.Advance(mock, 2*time.Hour)
	first.want("A 1h0m0s")
	second.want("B 1h0m0s")
}

func TestAdvance_PanicsWithoutTimersOnTheClock(t *testing.T) {
	mock := clock.NewMock()
	newService(t, mock, 1).Stop()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	timerstest.Advance(mock, time.Hour)
}

func TestNew_RefusesWrongArguments(t *testing.T) {
	fire := func(context.Context, string) (rotation.State, error) { return rotation.State{}, nil }
	for name, err := range map[string]error{
		"no clock":         second(timers.New(nil, fire, timers.Options{})),
		"no callback":      second(timers.New(clock.New(), nil, timers.Options{})),
		"negative Workers": second(timers.New(clock.New(), fire, timers.Options{Workers: -1})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[A, B any](_ A, b B) B { return b }

// Cards that are there are armed, moved and rotated without an allocation.
func TestTimers_AllocateNothingInTheSteadyState(t *testing.T) {
	const cards = 5000
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	clk := &stepping{Clock: clock.New()}
	clk.step.Store(int64(time.Until(now)))
	hourly := func() rotation.State {
		s, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(clk.Now(), time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	fired := 0
	ts, err := timers.New(clk, func(context.Context, string) (rotation.State, error) { fired++; return hourly(), nil }, timers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ts.Stop()
	ids := make([]string, cards)
	round := func() {
		for i, id := range ids {
			clk.step.Add(int64(time.Millisecond))
			if i%2 == 0 {
				ts.Arm(id, hourly())
			}
			ts.Tick(context.Background())
		}
	}
	for i := range ids {
		ids[i] = fmt.Sprint("card-", i)
		ts.Arm(ids[i], hourly())
	}
	clk.step.Add(int64(time.Hour))
	for range 3 {
		round()
		clk.step.Add(int64(time.Hour))
	}
	if n := testing.AllocsPerRun(5, func() { round(); clk.step.Add(int64(time.Hour)) }); n > 5 || fired < 5*cards {
		t.Errorf("%v allocations in %d steps; %d callbacks in all", n, cards, fired)
	}
}

func TestAdvance_StepsBackByANegativeDuration(t *testing.T) {
	mock := clock.NewMock()
	s := newService(t, mock, 1)
	defer s.Stop()
	s.daily("A", 12*time.Hour)
	for _, d := range []time.Duration{6 * time.Hour, -2 * time.Hour, 8*time.Hour - 1} {
		timerstest.Advance(mock, d)
		s.want()
	}
	timerstest.Advance(mock, 1)
	s.want("A 12h0m0s")
}

// Two calls for one card: the state of the second is armed last, although the first
// returns from its commit late. Another card does not wait.
func TestUpdate_ArmsInTheOrderOfCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, clock.New(), 1)
		committed := make(chan struct{})
		go s.Update("A", func() (rotation.State, error) {
			state := s.call("A", rotation.SetInterval(s.clock.Now(), day))
			<-committed
			return state, nil
		})
		synctest.Wait()
		go s.Update("A", func() (rotation.State, error) {
			return s.call("A", rotation.SetInterval(s.clock.Now(), time.Hour)), nil
		})
		if err := s.Update("B", func() (rotation.State, error) { return s.call("B", rotation.SetInterval(s.clock.Now(), day)), nil }); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		close(committed)
		synctest.Wait()
		if next, armed := s.Tick(t.Context()); !armed || next.Sub(s.start) != time.Hour {
			t.Errorf("armed %v for %v, want 1h", armed, next.Sub(s.start))
		}

		refused := errors.New("refused")
		if err := s.Update("A", func() (rotation.State, error) { return rotation.State{}, refused }); err != refused {
			t.Errorf("error %v, want %v", err, refused)
		}
		if next, _ := s.Tick(t.Context()); next.Sub(s.start) != time.Hour {
			t.Error("a failed update moved the card")
		}
		if err := s.Update("A", func() (rotation.State, error) { return rotation.State{}, nil }); err != nil {
			t.Error(err)
		}
		if next, _ := s.Tick(t.Context()); next.Sub(s.start) != day {
			t.Errorf("armed for %v, want B alone, for a day", next.Sub(s.start))
		}
	})
}

// ticking is a clock that moves on by a nanosecond with each reading.
type ticking struct {
	clock.Clock
	readings *atomic.Int64
}

func (c ticking) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.readings.Add(1))) }

// A slot that comes between two readings of the clock is delivered all the same.
func TestRun_DeliversASlotThatComesBetweenReadings(t *testing.T) {
	for after := range time.Duration(40) {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, ticking{clock.New(), new(atomic.Int64)}, 1)
			s.Arm("A", s.call("A", rotation.SetIntervalFirst(s.start, day, s.start.Add(time.Minute+after))))
			go s.Run(t.Context())
			time.Sleep(3 * time.Minute) // the longest sleep of Timers is a minute
			synctest.Wait()
			s.Stop()
			if len(s.log) != 1 {
				t.Errorf("slot after a minute and %d ns: delivered %v, want once", after, s.log)
			}
		})
	}
}

// The only worker continues after a callback that ended its goroutine, and a logger
// may call Arm.
func TestRun_ContinuesAfterGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, clock.New(), 1)
		s.before = func(string) error {
			if len(s.log) == 1 {
				runtime.Goexit()
			}
			return nil
		}
		s.Arm("A", s.call("A", rotation.SetInterval(s.clock.Now(), time.Hour)))
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context()) }()
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if len(s.log) != 2 || len(ended) != 0 {
			t.Errorf("deliveries %v and Run has ended %d times; want a retry and a Run that continues", s.log, len(ended))
		}
		s.Stop()
	})
}

type rearming struct {
	slog.Handler
	arm func()
}

func (h rearming) Handle(context.Context, slog.Record) error { h.arm(); return nil }

func TestSettle_LogsWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ts *timers.Timers
		logged := 0
		logger := slog.New(rearming{slog.NewTextHandler(io.Discard, nil), func() {
			logged++
			ts.Arm("B", rotation.State{})
		}})
		ts, err := timers.New(clock.New(), func(context.Context, string) (rotation.State, error) {
			return rotation.State{}, errors.New("the database is down")
		}, timers.Options{Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		state, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(time.Now(), time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		ts.Arm("A", state)
		go ts.Run(t.Context())
		time.Sleep(time.Hour + time.Millisecond)
		synctest.Wait()
		ts.Stop()
		if logged == 0 {
			t.Error("the failure was not logged")
		}
	})
}
