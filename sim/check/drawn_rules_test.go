package check

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// drawnRules are the rules that campaigns draw, and some more.
func drawnRules(t *testing.T) (all []rotation.Rules) {
	for _, guard := range []time.Duration{rotation.DefaultGuard, 0, 1, 30 * time.Second, 3 * time.Hour} {
		for _, from := range []rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling} {
			all = append(all, must.Get(rotation.NewRules(guard, from))(t))
		}
	}
	return all
}

func TestDrawOptions_DrawsRulesAroundTheSystems(t *testing.T) {
	const seeds = 3000
	for _, own := range drawnRules(t) {
		counts := map[rotation.Rules]int{}
		for seed := range uint64(seeds) {
			o := drawOptions(seed, Rules(own))
			counts[o.rules]++
			for _, interval := range o.intervals {
				if refusal(int64(o.rules.Guard()), &Event{Kind: rotation.KindSetInterval, At: noon, Interval: interval}) != 0 {
					t.Fatalf("seed %d: the interval %v is invalid: %v", seed, time.Duration(interval), o)
				}
			}
			if fixed := drawOptions(seed, fixed{Rules(own)}); fixed.rules != own {
				t.Fatalf("seed %d: the rules of a system without With are drawn: %v", seed, fixed)
			}
		}
		for _, r := range drawnRules(t) {
			if n := counts[r]; n < seeds/50 && r.Guard() != rotation.DefaultGuard || r == own && n < seeds/4 {
				t.Errorf("own rules %v from %v: %d of %d runs have %v from %v", own.Guard(), own.GuardFrom(), n, seeds, r.Guard(), r.GuardFrom())
			}
		}
	}
}

// TestTable_AgreesUnderAllRules: without a bug, the table is package rotation also with
// other guards.
func TestTable_AgreesUnderAllRules(t *testing.T) {
	for _, r := range drawnRules(t) {
		guard := int64(r.Guard())
		rapid.Check(t, func(t *rapid.T) {
			system := Rules(r)
			real, twin := system.NewCard(), table{terms: termsOf(r)}.NewCard()
			now := noon
			for range rapid.IntRange(1, 30).Draw(t, "events") {
				e := drawEvent(t, twin.View(), now)
				if rapid.Bool().Draw(t, "at the guard") && twin.View().GuardKind != 0 {
					e.At = twin.View().GuardStart + rapid.SampledFrom([]int64{0, 1, guard - 1, guard, guard + 1, -guard, 1 - guard}).Draw(t, "gap")
				}
				if want, got := real.Apply(e), twin.Apply(e); got != want {
					t.Fatalf("%v: %+v:\n got %+v\nwant %+v", r, e, got, want)
				}
				now = e.At
				if want, got := real.View(), twin.View(); got != want {
					t.Fatalf("%v: %+v:\n got %+v\nwant %+v", r, e, got, want)
				}
			}
		})
	}
}

// TestExhaustiveSearches_HoldUnderAllRules: the sequences hold under each of the rules,
// the closure for the two that shape its grid.
func TestExhaustiveSearches_HoldUnderAllRules(t *testing.T) {
	for i, r := range drawnRules(t) {
		if q := Sequences(context.Background(), Rules(r), 3); q.Failure != nil || !q.Done {
			t.Errorf("%v from %v: %s", r.Guard(), r.GuardFrom(), q.Failure.Paragraph())
		}
		if testing.Short() || i != 1 && i != 2 {
			continue
		}
		if c := SmallClosure(Rules(r)).Run(context.Background()); c.Failure != nil || !c.Closed || c.States < 100 {
			t.Errorf("%v from %v: %+v", r.Guard(), r.GuardFrom(), c)
		}
	}
}

// TestFailure_FilesHaveTheRulesOfTheRun: what a bug is shrunk to replays without a
// difference, because the timeline has the rules under which the bug shows.
func TestFailure_FilesHaveTheRulesOfTheRun(t *testing.T) {
	for name, want := range map[string]string{
		"guard-zero-default": "rules guard=0s guard_from=request\n", "guard-in-seconds": " guard=1ns guard_from=request",
		"guard-from-ignored": "guard_from=scheduling\n", "interval-unguarded": "guard_from=scheduling\n", "drift": "",
	} {
		t.Run(name, func(t *testing.T) {
			bug, _ := FindBug(name)
			f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 500}).Failure
			text := string(must.Get(f.Timeline())(t))
			if !strings.Contains(text, want) || want == "" && strings.Contains(text, "rules ") {
				t.Errorf("want %q in\n%s", want, text)
			}
			source := string(must.Get(f.GoTest())(t))
			if scheduling := strings.Contains(want, "scheduling"); strings.Contains(source, "rotation.GuardFromScheduling))(t)") != scheduling {
				t.Errorf("guard_from is wrong in\n%s", source)
			}
			r := timeline.NewReader(strings.NewReader(text), name)
			v := sim.NewVerifier(must.Get(r.Rules())(t), sim.VerifierOptions{})
			for {
				e, err := r.Next()
				if err == io.EOF {
					return
				}
				must.Do(t, err)
				if found := must.Get(v.Apply(e))(t); found.Verdict == sim.VerdictDiffers {
					t.Errorf("line %d: %v", e.Line, found.Differences)
				}
			}
		})
	}
}
