package timers

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
)

// script is what a callback does: it arms its own card for some slots, and returns a
// slot or an error. Slots are instants; never is a state without one.
type script struct {
	arms    []int64
	returns int64
	err     error
}

// scriptOf draws the script of a card's n-th callback, at an instant.
func scriptOf(seed uint64, card string, n int, now int64) (s script) {
	hash := fnv.New64a()
	hash.Write([]byte(card))
	r := rand.New(rand.NewPCG(seed, hash.Sum64()+uint64(n)))
	slot := func() int64 {
		offsets := []time.Duration{-time.Hour, 0, 1, time.Second, time.Minute, time.Hour, 24 * time.Hour, 1000 * time.Hour}
		if r.IntN(8) == 0 {
			return never
		}
		return now + int64(offsets[r.IntN(len(offsets))]) + r.Int64N(3)
	}
	for range r.IntN(6) - 3 {
		s.arms = append(s.arms, slot())
	}
	if s.returns = slot(); r.IntN(5) == 0 {
		s.err = errors.New("refused")
	}
	return s
}

// stateAt returns a state whose next slot is an instant.
func stateAt(slot int64) rotation.State {
	if slot == never {
		return rotation.State{}
	}
	next := time.Unix(0, slot)
	s, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetIntervalFirst(next.Add(-1), time.Hour, next))
	if err != nil {
		panic(err)
	}
	return s
}

// model is Timers with one worker, as a map that is searched for the first card.
type model struct {
	seed      uint64
	now       int64
	at        map[string]int64
	failures  map[string]int
	callbacks map[string]int
	log       []string
}

func (m *model) advance(end int64) {
	for {
		first := ""
		for card, at := range m.at {
			if at <= end && (first == "" || at < m.at[first] || at == m.at[first] && card < first) {
				first = card
			}
		}
		if first == "" {
			m.now = end
			return
		}
		m.now = max(m.now, m.at[first])
		m.log = append(m.log, fmt.Sprint(first, " ", m.now))
		m.callbacks[first]++
		m.returned(first, scriptOf(m.seed, first, m.callbacks[first], m.now))
	}
}

func (m *model) returned(card string, s script) {
	at := slices.Min(append([]int64{never}, s.arms...))
	if s.err == nil {
		at = min(at, s.returns)
	}
	if served := s.err == nil && at > m.now; served {
		m.failures[card] = 0
	} else {
		m.failures[card]++
		retryAt := m.now + int64(retry(card, m.failures[card]))
		if at <= m.now {
			at = retryAt
		}
		at = min(at, retryAt)
	}
	m.arm(card, at)
}

func (m *model) arm(card string, at int64) {
	if m.at[card] = at; at == never {
		delete(m.at, card)
		delete(m.failures, card)
	}
}

// action arms a card for an instant ahead, or for never, or advances the time.
type action struct {
	card  string
	ahead int64
}

var someAction = rapid.Custom(func(t *rapid.T) action {
	if rapid.Bool().Draw(t, "arms") {
		return action{
			rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}).Draw(t, "card"),
			rapid.SampledFrom([]int64{-1e12, -1, 0, 1, 1e9, 60e9, 3600e9, 1e15, never}).Draw(t, "ahead"),
		}
	}
	hours := int64(time.Hour)
	return action{"", rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, hours), rapid.Int64Range(0, 48*hours)).Draw(t, "d")}
})

// Timers with Run, on the real clock in a bubble, deliver what the model does.
func TestTimers_FollowTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		actions := rapid.SliceOf(someAction).Draw(rt, "actions")
		wrong := ""
		synctest.Test(t, func(t *testing.T) { wrong = follow(seed, actions) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// follow returns the first difference between Timers and the model.
func follow(seed uint64, actions []action) (wrong string) {
	clk := clock.New()
	now := func() int64 { return clk.Now().UnixNano() }
	m := &model{seed, now(), map[string]int64{}, map[string]int{}, map[string]int{}, nil}
	var log []string
	callbacks := map[string]int{}
	var ts *Timers
	ts, err := New(clk, func(_ context.Context, card string) (rotation.State, error) {
		log = append(log, fmt.Sprint(card, " ", now()))
		callbacks[card]++
		s := scriptOf(m.seed, card, callbacks[card], now())
		for _, at := range s.arms {
			ts.Arm(card, stateAt(at))
		}
		return stateAt(s.returns), s.err
	}, Options{})
	if err != nil {
		return err.Error()
	}
	go ts.Run(context.Background())
	defer func() {
		ts.Stop()
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if ts.running || ts.timer != nil && ts.timer.Stop() {
			wrong = "after Stop, Run is running or a timer is left"
		}
	}()
	for i, a := range actions {
		if a.card == "" {
			time.Sleep(time.Duration(a.ahead))
			synctest.Wait()
			m.advance(m.now + a.ahead)
		} else {
			at := int64(never)
			if a.ahead != never {
				at = m.now + a.ahead
			}
			ts.Arm(a.card, stateAt(at))
			synctest.Wait()
			m.arm(a.card, at)
			m.failures[a.card] = 0
			m.advance(m.now)
		}
		first := int64(never)
		for _, at := range m.at {
			first = min(first, at)
		}
		ts.mu.Lock()
		got, n := ts.queue.earliest, ts.queue.n
		same := got == first && n == len(m.at) && slices.Equal(log, m.log)
		ts.mu.Unlock()
		if !same {
			return fmt.Sprintf("after action %d: delivered %q, want %q; %d cards, the first at %d; want %d, %d", i, log, m.log, n, got, len(m.at), first)
		}
	}
	return ""
}

func TestRetry_HasJitterThatDependsOnCardAndNumber(t *testing.T) {
	seen := map[time.Duration]bool{}
	for _, card := range []string{"A", "B", "card-1", "card-2"} {
		for failures, full := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 13: time.Hour, 14: time.Hour, 255: time.Hour} {
			d := retry(card, failures)
			if d < full/2 || d > full || seen[d] || d != retry(card, failures) {
				t.Errorf("%s, %d failures: %v; want another wait from %v to %v, the same each time", card, failures, d, full/2, full)
			}
			seen[d] = true
		}
	}
}
