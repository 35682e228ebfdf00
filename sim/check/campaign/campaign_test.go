package campaign

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// failure is the seed of a run that failed.
type failure struct{ seed uint64 }

// failingAt returns a campaign whose runs fail for every seed that fails holds.
func failingAt(fails func(seed uint64) bool) Campaign[failure] {
	return Campaign[failure]{Goals: []string{"an even seed", "seed 1000"}, NewWorker: func() func(uint64) Outcome[failure] {
		met := make([]uint64, 2)
		return func(seed uint64) Outcome[failure] {
			clear(met)
			met[0] = 1 - seed%2
			if seed == 1000 {
				met[1] = 1
			}
			out := Outcome[failure]{Hash: seed * seed, Events: int64(seed), Options: fmt.Sprintf("seed=%d", seed), Met: met}
			if fails(seed) {
				out.Shrink = func() *failure { return &failure{seed} }
			}
			return out
		}
	}}
}

func never(uint64) bool { return false }

func TestRun_ResultDoesNotDependOnWorkers(t *testing.T) {
	run := func(workers int) Result[failure] {
		r := failingAt(never).Run(context.Background(), Options{First: 1, Last: 999, Workers: workers})
		r.Elapsed = 0
		return r
	}
	want := run(1)
	if want.Runs != 999 || want.Events != 999*500 || want.FirstSeed != 1 || want.LastSeed != 999 || want.Hash == 0 || want.Stopped {
		t.Errorf("%+v", want)
	}
	if unmet := want.Unmet(); want.Coverage[0].Met != 499 || len(unmet) != 1 || unmet[0].Sentence != "seed 1000" {
		t.Errorf("coverage %+v, unmet %+v", want.Coverage, unmet)
	}
	for _, workers := range []int{0, 2, 7} {
		if got := run(workers); !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: %+v, want %+v", workers, got, want)
		}
	}
}

func TestRun_ReportsTheLowestFailingSeed(t *testing.T) {
	for workers := 1; workers <= 8; workers++ {
		fails := func(seed uint64) bool { return seed == 91 || seed > 95 }
		r := failingAt(fails).Run(context.Background(), Options{First: 1, Last: 10_000, Workers: workers})
		if r.Failure == nil || r.Failure.seed != 91 || r.Runs == 10_000 {
			t.Errorf("%d workers: %+v", workers, r)
		}
	}
}

func TestRun_TwiceFindsARunThatDiffers(t *testing.T) {
	for _, test := range []struct {
		name   string
		second func(out *Outcome[failure])
	}{
		{"another hash", func(out *Outcome[failure]) { out.Hash++ }},
		{"a failure the second time", func(out *Outcome[failure]) { out.Shrink = func() *failure { return new(failure) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := failingAt(never)
			newWorker := c.NewWorker
			runs := 0
			c.NewWorker = func() func(uint64) Outcome[failure] {
				run := newWorker()
				return func(seed uint64) Outcome[failure] {
					out := run(seed)
					if runs++; runs == 10 { // the second run of seed 5
						test.second(&out)
					}
					return out
				}
			}
			r := c.Run(context.Background(), Options{First: 1, Last: 100, Workers: 1, Twice: true})
			if u := r.Unstable; u == nil || u.Seed != 5 || u.Options != "seed=5" || r.Failure != nil {
				t.Errorf("%+v", r)
			}
			if r.Coverage[0].Met != 2 { // the second runs do not count
				t.Errorf("coverage %+v", r.Coverage)
			}
		})
	}
}

func TestRun_TwiceKeepsAFailureThatRepeats(t *testing.T) {
	r := failingAt(func(seed uint64) bool { return seed == 5 }).Run(context.Background(), Options{First: 1, Last: 100, Twice: true})
	if r.Unstable != nil || r.Failure == nil || r.Failure.seed != 5 {
		t.Errorf("%+v", r)
	}
}

func TestRun_StopsWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var each, progress atomic.Int64
	r := failingAt(never).Run(ctx, Options{
		First: 1, Last: math.MaxUint64 - 1, Workers: 2,
		Each: func(Run) {
			if each.Add(1) == 100 {
				cancel()
			}
		},
		Progress: func(p Progress) { progress.Store(p.Runs) },
	})
	if !r.Stopped || r.Runs < 100 || r.Runs > 110 || progress.Load() != r.Runs || each.Load() != r.Runs {
		t.Errorf("%d runs, progress of %d, stopped %v", r.Runs, progress.Load(), r.Stopped)
	}
}

func TestRun_StartsNoRunAfterItsTime(t *testing.T) {
	r := failingAt(never).Run(context.Background(), Options{First: 1, Last: math.MaxUint64 - 1, For: time.Millisecond})
	if r.Runs == 0 || r.Stopped {
		t.Errorf("%d runs, stopped %v", r.Runs, r.Stopped)
	}
}

func ExampleCampaign() {
	c := Campaign[string]{
		Goals: []string{"a seed divisible by 10"},
		NewWorker: func() func(uint64) Outcome[string] {
			return func(seed uint64) Outcome[string] {
				out := Outcome[string]{Hash: seed, Events: 1, Met: []uint64{0}}
				if seed%10 == 0 {
					out.Met[0]++
				}
				if seed >= 42 {
					out.Shrink = func() *string { s := fmt.Sprintf("seed %d is too large", seed); return &s }
				}
				return out
			}
		},
	}
	r := c.Run(context.Background(), Options{First: 1, Last: 1000})
	fmt.Println(*r.Failure, len(r.Unmet()))
	// Output: seed 42 is too large 0
}

func TestShorten_KeepsWhatTheFailureNeeds(t *testing.T) {
	var list []int
	for i := range 100 {
		list = append(list, i)
	}
	needs := []int{3, 41, 42, 97}
	Shorten(func() int { return len(list) }, func(from, to int) bool {
		fewer := slices.Delete(slices.Clone(list), from, to)
		for _, n := range needs {
			if !slices.Contains(fewer, n) {
				return false
			}
		}
		list = fewer
		return true
	})
	if !slices.Equal(list, needs) {
		t.Errorf("shortened to %v, want %v", list, needs)
	}
}
