package check

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/must"
)

// The table of rules without a bug leaves the same trace as package rotation.
func TestCampaign_RulesHoldAndMeetEveryGoal(t *testing.T) {
	const seeds = 2000
	first := Campaign(theRules, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds, Workers: 1})
	if first.Failure != nil {
		t.Fatal(first.Failure.Paragraph())
	}
	for _, g := range first.Unmet() {
		t.Errorf("never met: %s", g.Sentence)
	}
	for _, test := range []struct {
		name    string
		system  System
		options campaign.Options
	}{
		{"two workers, each run twice", theRules, campaign.Options{First: 1, Last: seeds, Workers: 2, Twice: true}},
		{"the table of rules", table{terms: terms{guard: g}}, campaign.Options{First: 1, Last: seeds, Workers: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Campaign(test.system, Bug{}).Run(context.Background(), test.options)
			if r.Failure != nil || r.Unstable != nil || r.Hash != first.Hash || r.Events != first.Events {
				t.Errorf("hash %x, %d events; want %x, %d", r.Hash, r.Events, first.Hash, first.Events)
			}
		})
	}
}

func TestHost_EachSeedLeavesAnotherTrace(t *testing.T) {
	hosts := hosts{system: theRules}
	seen := map[uint64]uint64{}
	for seed := uint64(1); seed <= 300; seed++ {
		h := hosts.run(seed)
		if other, ok := seen[h.hash]; ok {
			t.Errorf("seeds %d and %d have the same trace", seed, other)
		}
		seen[h.hash] = seed
	}
}

// So removing a card does not change the calls to the others.
func TestStream_DependsOnItsKeyAlone(t *testing.T) {
	a, b := newStream(7, 1, streamCalls), newStream(7, 1, streamCalls)
	other := newStream(7, 2, streamCalls)
	same := 0
	for range 1000 {
		x := a.Next()
		if x == other.Next() {
			same++
		}
		if x != b.Next() {
			t.Fatal("a stream is not a function of its key")
		}
	}
	if same > 0 {
		t.Errorf("%d of 1000 numbers of two streams are equal", same)
	}
}

func TestGoals_AreCountedAndDescribed(t *testing.T) {
	r := Campaign(theRules, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 1})
	if len(r.Unmet()) == 0 || len(r.Coverage) != len(Goals()) {
		t.Errorf("%d of %d goals unmet by one run", len(r.Unmet()), len(r.Coverage))
	}
	for i, sentence := range Goals() {
		if sentence == "" {
			t.Errorf("goal %d has no sentence", i)
		}
	}
}

func TestCampaign_NilSystemIsTheRules(t *testing.T) {
	o := campaign.Options{First: 1, Last: 5, Workers: 1}
	got := Campaign(nil, Bug{}).Run(context.Background(), o)
	want := Campaign(Rules(rotation.Rules{}), Bug{}).Run(context.Background(), o)
	if got.Hash != want.Hash || got.Events == 0 {
		t.Errorf("hash %x, %d events; want %x", got.Hash, got.Events, want.Hash)
	}
}

func TestShrink_GuardInclusiveToTwoEvents(t *testing.T) {
	bug, _ := FindBug("guard-inclusive")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	text := must.Get(f.Timeline())(t)
	want := `2026-11-22T15:00:00Z  A  set_interval interval=24h  => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-23T15:00:00Z
2026-11-22T15:02:00Z  A  forced        => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-23T15:02:00Z
`
	must.Equal(t, want, string(text))
}

func TestGoTest_PassesWithTheRightRules(t *testing.T) {
	bug, _ := FindBug("held-auto-stays")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	b := must.Get(f.GoTest())(t)
	source := string(b)
	for _, want := range []string{"func TestFoundNextAhead(t *testing.T)", "rotation.SetInterval", `"R8 interval_set"`} {
		if !strings.Contains(source, want) {
			t.Errorf("no %s in\n%s", want, source)
		}
	}
	if testing.Short() {
		t.Skip("runs the go command: leave out -short to run it")
	}
	dir := t.TempDir()
	found, overlay := filepath.Join(dir, "found_test.go"), filepath.Join(dir, "overlay.json")
	must.Do(t, os.WriteFile(found, b, 0o644))
	place := must.Get(filepath.Abs("../../rotation/found_test.go"))(t)
	must.Do(t, os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, place, found), 0o644))
	out, err := exec.Command("go", "test", "-v", "-overlay", overlay, "-run", "TestFoundNextAhead", "cvvrotation/rotation").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFoundNextAhead") {
		t.Errorf("the test does not pass: %v\n%s\n%s", err, out, source)
	}
}

// One operation is one event, decided in the simulated host with all invariants
// on, by one goroutine.
func BenchmarkHost_DecidesAndChecksEvents(b *testing.B) {
	hosts := hosts{system: theRules}
	b.ReportAllocs()
	seed := uint64(1)
	for left := b.N; left > 0; seed++ {
		h := hosts.run(seed)
		left -= h.events
		if h.failure != nil {
			b.Fatalf("seed %d: %v", seed, h.failure.list())
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
