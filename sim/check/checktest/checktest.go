// Package checktest finds mistakes in a service that rotates cards, in the service's
// own tests. [Run] searches for a sequence of events that breaks a rule. [Crash] kills
// an operation at each statement. Both need a small adapter to the service.
package checktest

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
)

// Options limit the searches of [Run]. The zero value tries some 40,000 events, which
// find every wrong rule of [check.Bugs].
type Options struct {
	Depth     int    // events in a sequence, of which every one is tried; defaults to 3. 4 takes 40 times longer
	Seeds     int    // simulated runs, of some 250 events each; defaults to 100
	FirstSeed uint64 // of the runs; defaults to 1
	// Closure also visits every state that the rules can reach, with 4 million events:
	// for a service that runs in memory. AppendStored must then return a form of
	// rotation.State.
	Closure bool
}

// Run compares what the system decides with the rules, in each sequence of a few
// events at the edges of the rules, and in simulated runs with late timers, crashes
// and clock steps. If the cards are [check.Poller]s, it hunts the service's poller,
// too: var _ check.Poller = card{} asserts that. It calls NewCard from several
// goroutines.
//
// A failure is a short timeline and a paragraph that explains it. The same options
// find the same failure.
func Run(t *testing.T, s check.System, o Options) {
	t.Helper()
	if s == nil || o.Depth < 0 || o.Seeds < 0 {
		t.Fatal("checktest: a nil system or a negative option: pass an adapter to your service")
	}
	card := s.NewCard()
	_, polls := card.(check.Poller)
	if _, named := reflect.TypeOf(card).MethodByName("Poll"); named && !polls {
		t.Fatalf("checktest: the method Poll of %T is not that of check.Poller: assert var _ check.Poller = …", card)
	}
	t.Logf("the cards have Poll: %t", polls)
	for _, search := range searches(s, o) {
		ok := t.Run(search.name, func(t *testing.T) {
			f, tried, unit := search.run(t.Context())
			t.Logf("%d %s", tried, unit)
			switch {
			case f != nil:
				t.Error(describe(f))
			case tried == 0: // the closure
				t.Error("AppendStored returns no form of rotation.State, so no state could be visited")
			}
		})
		if !ok {
			return
		}
	}
}

// search is one of the searches of package check.
type search struct {
	name string
	run  func(context.Context) (f *check.Failure, tried int64, unit string)
}

func searches(s check.System, o Options) []search {
	depth, seeds, first := cmp.Or(o.Depth, 3), cmp.Or(o.Seeds, 100), cmp.Or(o.FirstSeed, 1)
	all := []search{
		{"sequences", func(ctx context.Context) (*check.Failure, int64, string) {
			r := check.Sequences(ctx, s, depth)
			return r.Failure, r.Sequences, fmt.Sprintf("sequences of %d events", depth)
		}},
		{"simulation", func(ctx context.Context) (*check.Failure, int64, string) {
			r := check.Campaign(s, check.Bug{}).Run(ctx, campaign.Options{First: first, Last: first + uint64(seeds) - 1})
			return r.Failure, r.Events, "events in simulated runs"
		}},
	}
	if o.Closure {
		all = append(all, search{"closure", func(ctx context.Context) (*check.Failure, int64, string) {
			r := check.SmallClosure(s).Run(ctx)
			return r.Failure, int64(r.States), "states"
		}})
	}
	return all
}

// describe returns the failure for the log of a test.
func describe(f *check.Failure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", f.Paragraph())
	lines := f.Journal
	if !f.NeedsHost {
		text, err := f.Timeline()
		if err != nil {
			return err.Error()
		}
		lines = strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprint(&b, "\nThe events; after => what the rules say:\n\n")
	} else {
		fmt.Fprint(&b, "\nWhat happened to the card:\n\n")
	}
	for _, line := range lines[max(0, len(lines)-24):] {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if f.Seed != 0 {
		fmt.Fprintf(&b, "\nThis run alone: checktest.Options{FirstSeed: %d, Seeds: 1}\n", f.Seed)
	}
	return b.String()
}
