package check

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/bugs.txt anew; look at the difference")

var theRules = Rules(rotation.Rules{})

// Every bug is found: by which invariant, in the campaign's events from seed 1
// on, shrunk to how many events, and, where it is in the rules, after how many
// events of the sequences. The table is testdata/bugs.txt.
func TestBugs(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tinvariant\tafter\tshrunk to\talso\tby sequences of 3")
	for _, b := range Bugs() {
		r := Campaign(b.System(), b).Run(context.Background(), campaign.Options{First: 1, Last: 1000, Workers: 1})
		f := r.Failure
		if f == nil {
			t.Errorf("%s is not found in %d events", b.Name, r.Events)
			continue
		}
		also := make([]string, 0, len(f.Also))
		for _, i := range f.Also {
			also = append(also, i.String())
		}
		by := "in the host"
		if !b.InHost() {
			by = "not found"
			if q := (Sequences{System: b.System(), Depth: 3}).Run(context.Background()); q.Failure != nil {
				by = fmt.Sprintf("%v after %d", q.Failure.Invariant, q.Events)
			}
		}
		fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%s\t%s\n", b.Name, f.Invariant, r.Events, len(f.Events), strings.Join(also, " "), by)
		if most := 4; !f.NeedsHost && len(f.Events) > most {
			t.Errorf("%s is shrunk to %d events, want at most %d:\n%s", b.Name, len(f.Events), most, f.Paragraph())
		}
		if most := 25; f.NeedsHost && len(f.Events) > most {
			t.Errorf("%s is shrunk to a run of %d events, want at most %d: %s", b.Name, len(f.Events), most, f.Options)
		}
		if !strings.Contains(f.Paragraph(), f.Invariant.Sentence()) {
			t.Errorf("%s: the paragraph does not say what must hold: %s", b.Name, f.Paragraph())
		}
	}
	w.Flush()
	const golden = "testdata/bugs.txt"
	if *update {
		if err := os.WriteFile(golden, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), table.String()); diff != "" {
		t.Errorf("run go test ./sim/check -run TestBugs -update and look at the difference:\n%s", diff)
	}
}

// Every invariant is broken by some bug: none is there for show.
func TestInvariantsBite(t *testing.T) {
	bitten := map[Invariant]bool{}
	for _, b := range Bugs() {
		h := newHost(b.System(), b)
		for seed := uint64(1); seed <= 50; seed++ {
			if h.run(seed, drawOptions(seed)); h.failure != nil {
				for _, i := range h.failure.broken {
					bitten[i] = true
				}
			}
		}
	}
	for _, i := range Invariants() {
		// What breaks replays shows in an answer, and so breaks reference first.
		if !bitten[i] && i != replays {
			t.Errorf("no bug breaks %v", i)
		}
	}
}

// The bugs' names are unique, and those that stand for the peers' bugs are
// among them: TestBugs shows that they stay caught.
func TestPeers(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Bugs() {
		if seen[b.Name] || b.Sentence == "" || b.Rule == "" {
			t.Errorf("%+v", b)
		}
		seen[b.Name] = true
	}
	for _, p := range Peers() {
		for _, name := range p.Bugs {
			if _, ok := FindBug(name); !ok {
				t.Errorf("%s: no bug is named %s", p.Where, name)
			}
		}
		if len(p.Bugs) == 0 {
			t.Errorf("%s stands for nothing", p.Where)
		}
	}
	if len(Bugs()) < 20 {
		t.Errorf("%d bugs", len(Bugs()))
	}
}

// The guard's edge shrinks to the two events that show it: the interval, and a
// forced call exactly the guard later.
func TestShrinkGuardInclusive(t *testing.T) {
	bug, _ := FindBug("guard-inclusive")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	text, err := f.Timeline()
	if err != nil {
		t.Fatal(err)
	}
	want := `2026-11-22T15:00:00Z  A  set_interval interval=24h  => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-23T15:00:00Z
2026-11-22T15:02:00Z  A  forced        => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-23T15:02:00Z
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

// The rules hold, whatever the number of workers; the table without a deviation
// leaves the very same trace; and every situation is met.
func TestCampaign(t *testing.T) {
	const seeds = 2000
	first := Campaign(theRules, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds, Workers: 1})
	if first.Failure != nil {
		t.Fatal(first.Failure.Paragraph())
	}
	for _, p := range first.Unmet() {
		t.Errorf("never met: %s", p.Sentence)
	}
	if first.Runs != seeds || first.LastSeed != seeds {
		t.Errorf("%d runs up to seed %d", first.Runs, first.LastSeed)
	}
	for workers, system := range []System{1: theRules, 2: theRules, 3: table{guard: g}} {
		if system == nil {
			continue
		}
		r := Campaign(system, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds, Workers: workers})
		if r.Failure != nil || r.Hash != first.Hash || r.Events != first.Events {
			t.Errorf("%d workers: hash %x, %d events; want %x, %d", workers, r.Hash, r.Events, first.Hash, first.Events)
		}
	}
}

// A failure is that of the lowest seed, whatever the number of workers.
func TestFailureOfLowestSeed(t *testing.T) {
	bug, _ := FindBug("missed-lost-by-guard")
	var want *Failure
	for workers := 1; workers <= 4; workers++ {
		f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 500, Workers: workers}).Failure
		if want == nil {
			want = f
		}
		if f.Seed != want.Seed || f.Paragraph() != want.Paragraph() {
			t.Errorf("%d workers: seed %d, want %d", workers, f.Seed, want.Seed)
		}
	}
}

// A run is a function of its seed, and each seed draws another.
func TestSeeds(t *testing.T) {
	h := newHost(theRules, Bug{})
	seen := map[uint64]uint64{}
	for seed := uint64(1); seed <= 300; seed++ {
		h.run(seed, drawOptions(seed))
		if other, ok := seen[h.hash]; ok {
			t.Errorf("seeds %d and %d have the same trace", seed, other)
		}
		seen[h.hash] = seed
	}
}

// Taking a card out does not change what the calls of the others ask for.
func TestStreamsAreIndependent(t *testing.T) {
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

// forgetful is a system that is no function of its input: it looks at how often
// it was asked.
type forgetful struct {
	System
	asked *atomic.Int64
}

type forgetfulCard struct {
	Card
	asked *atomic.Int64
}

func (s forgetful) NewCard() Card { return &forgetfulCard{s.System.NewCard(), s.asked} }

func (c *forgetfulCard) Apply(e Event) Outcome {
	out := c.Card.Apply(e)
	if c.asked.Add(1) == 5000 {
		out.Missed += 7
	}
	return out
}

// A run that comes out differently the second time is found, and is not taken
// for a broken invariant.
func TestTwice(t *testing.T) {
	system := forgetful{theRules, new(atomic.Int64)}
	r := Campaign(system, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 100, Workers: 1, Twice: true})
	if r.Unstable == nil || r.Failure != nil || r.Unstable.Options == "" {
		t.Errorf("%+v", r)
	}
	r = Campaign(theRules, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 100, Twice: true})
	if r.Unstable != nil || r.Failure != nil {
		t.Errorf("the rules: %+v", r)
	}
}

// A campaign that is too small says what it never met.
func TestNever(t *testing.T) {
	r := Campaign(theRules, Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 1})
	if len(r.Unmet()) == 0 || len(r.Coverage) != len(Goals()) {
		t.Errorf("%d of %d situations never met", len(r.Unmet()), len(r.Coverage))
	}
	for _, sentence := range Goals() {
		if sentence == "" {
			t.Error("a situation has no sentence")
		}
	}
}

// A campaign that is cut short says so.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	runs := 0
	r := Campaign(theRules, Bug{}).Run(ctx, campaign.Options{First: 1, Last: 1 << 40, Workers: 2, Each: func(campaign.Run) {
		if runs++; runs == 100 {
			cancel()
		}
	}})
	if !r.Stopped || r.Runs < 100 || r.Runs > 200 {
		t.Errorf("%d runs, stopped %v", r.Runs, r.Stopped)
	}
	if q := (Sequences{System: theRules, Depth: 6}).Run(ctx); q.Done {
		t.Errorf("the sequences went on: %+v", q)
	}
	if c := SmallClosure(theRules).Run(ctx); c.Closed {
		t.Errorf("the closure went on: %+v", c)
	}
}

// Every invariant has a name of its own, a rule and a sentence.
func TestInvariants(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range Invariants() {
		if i.String() == "" || i.Rule() == "" || !strings.HasSuffix(i.Sentence(), ".") || seen[i.String()] {
			t.Errorf("%d: %q, %q, %q", i, i, i.Rule(), i.Sentence())
		}
		seen[i.String()] = true
	}
}

// The Go test that a failure gives parses, and says what the rules say.
func TestGoTest(t *testing.T) {
	bug, _ := FindBug("held-auto-stays")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	b, err := f.GoTest()
	if err != nil {
		t.Fatal(err)
	}
	source := string(b)
	for _, want := range []string{"func TestFoundNextAhead(t *testing.T)", "rotation.SetInterval(at(", `"R8 interval_set"`} {
		if !strings.Contains(source, want) {
			t.Errorf("no %s in\n%s", want, source)
		}
	}
	if testing.Short() {
		t.Skip("runs the go command: leave out -short to run it")
	}
	dir := t.TempDir()
	found, overlay := filepath.Join(dir, "found_test.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(found, b, 0o644); err != nil {
		t.Fatal(err)
	}
	place, err := filepath.Abs("../../rotation/found_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, place, found), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "test", "-v", "-overlay", overlay, "-run", "TestFoundNextAhead", "cvvrotation/rotation").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFoundNextAhead") {
		t.Errorf("the test does not pass: %v\n%s\n%s", err, out, source)
	}
}
