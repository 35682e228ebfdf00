package checktest

import (
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim/check"
)

func TestRun_RulesPass(t *testing.T) {
	Run(t, check.Rules(rotation.Rules{}), Options{})
}

// The default options find every shipped wrong rule set.
func TestRun_DefaultOptionsFindEveryShippedBug(t *testing.T) {
	for _, bug := range check.Bugs() {
		if bug.InHost() {
			continue
		}
		t.Run(bug.Name, func(t *testing.T) {
			for _, search := range searches(bug.System(), Options{}) {
				if f, _, _ := search.run(t.Context()); f != nil {
					if text := describe(f); !strings.Contains(text, "Invariant "+f.Invariant.String()) || strings.Count(text, "\n") > 30 {
						t.Errorf("not a short explanation:\n%s", text)
					}
					return
				}
			}
			t.Error(bug.Sentence + ": not found")
		})
	}
}

// Crash counts what is there when the operation dies, and not what it does afterwards.
func TestCrash_DiesOnceAtEachCall(t *testing.T) {
	var runs, disconnected atomic.Int64
	Crash(t, func(t *testing.T, crash func(string, func())) Operation {
		n := runs.Add(1)
		stored, acted := 0, 0
		crash("in the set-up", func() { t.Error("died before Do") })
		disconnect := func() { disconnected.Add(1) }
		return Operation{
			Do: func() error {
				crash("before", disconnect)
				stored = 1
				crash("after", disconnect)
				acted = 1
				return nil
			},
			Found: func() Effects {
				if want := [...][2]int{{1, 1}, {0, 0}, {1, 0}}[n-1]; [2]int{stored, acted} != want {
					t.Errorf("run %d: stored %d, acted %d, want %v", n, stored, acted, want)
				}
				return Effects{Rotations: stored, Events: stored, Acted: acted}
			},
		}
	})
	if runs.Load() != 3 || disconnected.Load() != 2 {
		t.Errorf("%d runs, %d connections closed, want 3 and 2", runs.Load(), disconnected.Load())
	}
}

type misspelt struct{ check.System }

type misspeltCard struct{ check.Card }

func (m misspelt) NewCard() check.Card         { return misspeltCard{m.System.NewCard()} }
func (misspeltCard) Poll(int64) *check.Outcome { return nil }

// What would pass without a search, or without a count, fails.
func TestAdapter_IncompleteOnesFail(t *testing.T) {
	const child = "CHECKTEST_CHILD"
	switch os.Getenv(child) {
	case "Poll":
		Run(t, misspelt{check.Rules(rotation.Rules{})}, Options{})
		return
	case "Acted":
		Crash(t, func(_ *testing.T, crash func(string, func())) Operation {
			return Operation{
				Do:    func() error { crash("before", func() {}); return nil },
				Found: func() Effects { return Effects{Rotations: 1, Events: 1} },
			}
		})
		return
	}
	for mistake, want := range map[string]string{
		"Poll":  "the method Poll of checktest.misspeltCard is not that of check.Poller",
		"Acted": "Acted is 0",
	} {
		t.Run(mistake, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestAdapter_IncompleteOnesFail$")
			cmd.Env = append(os.Environ(), child+"="+mistake)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want a failure with %q:\n%s", err, want, out)
			}
		})
	}
}
