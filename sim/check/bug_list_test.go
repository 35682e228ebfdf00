package check

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/internal/golden"
)

var theRules = Rules(rotation.Rules{})

// The table is testdata/bugs.txt: the invariant that each bug breaks, after how
// many of the campaign's events, shrunk to how many, and for bugs in the rules
// after how many events of the sequences.
func TestBugs_AreFoundAndShrunk(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tinvariant\tafter\tshrunk to\talso\tby sequences of 3")
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) {
			r := Campaign(b.System(), b).Run(context.Background(), campaign.Options{First: 1, Last: 1000, Workers: 1})
			f := r.Failure
			if f == nil {
				t.Fatalf("not found in %d events", r.Events)
			}
			by := "in the host"
			if !b.InHost() {
				by = "not found"
				if q := Sequences(context.Background(), b.System(), 3); q.Failure != nil {
					by = fmt.Sprintf("%v after %d", q.Failure.Invariant, q.Events)
				}
			}
			also := strings.Trim(fmt.Sprint(f.Also), "[]")
			fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%s\t%s\n", b.Name, f.Invariant, r.Events, len(f.Events), also, by)
			most := 4
			if f.NeedsHost {
				most = 25 // a run, not a timeline
			}
			if len(f.Events) > most {
				t.Errorf("shrunk to %d events, want up to %d: %s\n%s", len(f.Events), most, f.Options, f.Paragraph())
			}
			if !strings.Contains(f.Paragraph(), f.Invariant.Sentence()) {
				t.Errorf("the paragraph lacks the invariant's sentence: %s", f.Paragraph())
			}
		})
	}
	w.Flush()
	golden.Check(t, "testdata/bugs.txt", table.Bytes())
}

func TestInvariants_AreBrokenByABugEach(t *testing.T) {
	bitten := map[Invariant]bool{}
	for _, b := range Bugs() {
		hosts := hosts{system: b.System(), bug: b}
		for seed := uint64(1); seed <= 50; seed++ {
			if h := hosts.run(seed); h.failure != nil {
				for _, i := range h.failure.list() {
					bitten[i] = true
				}
			}
		}
	}
	for _, i := range Invariants() {
		// A bug that breaks replays changes an answer, so reference breaks first.
		if !bitten[i] && i != replays {
			t.Errorf("no bug breaks %v", i)
		}
	}
}

func TestBugs_StandForBugsOfOthers(t *testing.T) {
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

func TestInvariants_HaveNameRuleAndSentence(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range Invariants() {
		if i.String() == "" || i.Rule() == "" || !strings.HasSuffix(i.Sentence(), ".") || seen[i.String()] {
			t.Errorf("%d: %q, %q, %q", i, i, i.Rule(), i.Sentence())
		}
		seen[i.String()] = true
	}
}

const g = int64(rotation.DefaultGuard)

// noon is where the tests' instants begin.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano()

// So each bug in the rules differs from package rotation in one thing only.
func TestTable_WithoutBugIsPackageRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		real, twin := Rules(rotation.Rules{}).NewCard(), table{terms: terms{guard: g}}.NewCard()
		now := noon
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			e := drawEvent(t, twin.View(), now)
			if want, got := real.Apply(e), twin.Apply(e); got != want {
				t.Fatalf("%+v:\n got %+v\nwant %+v", e, got, want)
			}
			now = e.At
			if want, got := real.View(), twin.View(); got != want {
				t.Fatalf("%+v:\n got %+v\nwant %+v", e, got, want)
			}
			stored := real.AppendStored(nil)
			if got := twin.AppendStored(nil); !bytes.Equal(got, stored) {
				t.Fatalf("%+v: stored as\n%x, the rules store\n%x", e, got, stored)
			}
			if real.Restore(stored) != nil || twin.Restore(stored) != nil {
				t.Fatalf("%x can't be restored", stored)
			}
		}
	})
}

// drawEvent draws an event at or next to a boundary of v, now and then a wrong
// one.
func drawEvent(t *rapid.T, v View, now int64) Event {
	anchors := []int64{now, now, v.GuardStart, v.Next, v.Next, v.Served, 0, endOfInstants}
	near := func(label string) int64 {
		return rapid.SampledFrom(anchors).Draw(t, label) +
			rapid.SampledFrom([]int64{0, 0, g, -g, g / 2, v.Interval, -v.Interval, 7 * v.Interval, int64(time.Hour)}).Draw(t, label+" distance") +
			rapid.Int64Range(-1, 1).Draw(t, label+" ns")
	}
	e := Event{Kind: rotation.Kind(rapid.IntRange(0, 5).Draw(t, "kind")), At: near("at")}
	switch e.Kind {
	case rotation.KindAuto:
		if e.HasSlot = rapid.Bool().Draw(t, "named"); e.HasSlot {
			e.Slot = near("slot")
		}
	case rotation.KindSetInterval:
		e.Interval = rapid.SampledFrom([]int64{
			v.Interval, g - 1, g, g + 1, 3 * g, int64(time.Hour), int64(rotation.MaxInterval), int64(rotation.MaxInterval) + 1, -1,
		}).Draw(t, "interval")
		if e.HasFirst = rapid.Bool().Draw(t, "first given"); e.HasFirst {
			e.First = rapid.SampledFrom([]int64{v.Next, e.At, e.At + 1, e.At + e.Interval, e.At + e.Interval + 1, endOfInstants}).Draw(t, "first")
		}
	}
	return e
}
