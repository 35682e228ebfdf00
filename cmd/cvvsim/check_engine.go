package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/spf13/cobra"

	"cvvrotation/sim/check"
	"cvvrotation/sim/check/enginecheck"
)

// replicasReport is a campaign of several engines on one store.
type replicasReport struct {
	campaignReport
	Met        int      `json:"situations_met"`
	Never      []string `json:"situations_never_met,omitempty"`
	Invariants []string `json:"invariants"`
}

// checkEngine is check with the engine as the system: the searches of cards one
// by one, and the campaign of replicas.
func (c *cli) checkEngine(ctx context.Context, cmd *cobra.Command, o *checkOptions, out *bufio.Writer) error {
	bug, _ := enginecheck.FindBug(o.bug)
	r := newReport(o, check.Bug{Name: bug.Name, Sentence: bug.Sentence})
	r.engine, r.atLeast = true, int64(presets["ci"].engineSeeds)
	if bug.Name == "" {
		r.System = "the engine (package rotation/engine) over the store in memory"
	}
	p := presets[o.preset]
	p.depth, p.closure = p.engineDepth, nil
	set := cmd.Flags().Changed
	ranged := set("seeds") || set("for")
	campaigns := ranged || !o.exhaustive || o.fresh
	cards := check.Campaign{System: enginecheck.System(), First: o.first, Last: p.engineSeeds, For: o.duration / 2}
	replicas := enginecheck.Campaign{Bug: bug, First: o.first, Last: p.replicas, For: o.duration / 2}
	if ranged {
		cards.Last, replicas.Last = o.last, o.last
	}
	goOn := func() bool {
		return r.found == nil && r.Unstable == nil && !r.replicasFailed() && ctx.Err() == nil
	}
	if bug.Name == "" && (o.exhaustive || set("preset") || !ranged) {
		c.exhaustive(ctx, o, p, cards.System, r)
	}
	if campaigns && bug.Name == "" && goOn() {
		c.campaign(ctx, o, cards, r)
	}
	if campaigns && goOn() {
		c.replicas(ctx, o, replicas, r)
	}
	if o.fresh && goOn() {
		first := 1 + uint64(rand.Uint32())
		last := first + engineFresh - 1
		r.FreshSeed = first
		fmt.Fprintf(c.Stderr, "note: fresh seed %d; the same again: --system engine --seeds %d-%d\n", first, first, last)
		c.campaign(ctx, o, check.Campaign{System: cards.System, First: first, Last: last}, r)
		if goOn() {
			c.replicas(ctx, o, enginecheck.Campaign{First: first, Last: last}, r)
		}
	}
	return c.finish(ctx, o, out, r)
}

// replicas does one campaign of replicas and adds it to the report.
func (c *cli) replicas(ctx context.Context, o *checkOptions, k enginecheck.Campaign, r *report) {
	line := c.statusLine()
	defer line.clear()
	k.Workers, k.Twice = o.workers, o.twice
	k.Progress, k.Each = c.watch(line, o, "replicas: ")
	r.replicas(k.First, k.Run(ctx))
}

// replicas adds a campaign of replicas.
func (r *report) replicas(first uint64, k enginecheck.Result) {
	x := replicasReport{campaignReport: campaignReport{k.Runs, first, k.LastSeed, k.Events, fmt.Sprintf("%016x", k.Hash)}}
	for _, p := range k.Places {
		if p.Met > 0 {
			x.Met++
		} else {
			x.Never = append(x.Never, p.Sentence)
		}
	}
	for _, i := range enginecheck.Invariants() {
		x.Invariants = append(x.Invariants, i.String())
	}
	// A later campaign, of a fresh seed, need not meet what the first has.
	if len(r.Replicas) == 0 && r.Bug == "" && k.Runs >= int64(presets["ci"].replicas) {
		for _, sentence := range x.Never {
			r.Situations = append(r.Situations, situationReport{Sentence: sentence})
		}
	}
	r.Replicas = append(r.Replicas, x)
	r.events += k.Events
	r.campaignTime += k.Elapsed
	r.Unstable = k.Unstable
	f := k.Failure
	if f == nil {
		return
	}
	r.Failure = &failureReport{
		Invariant: f.Invariant.String(), Rule: "the engine", Sentence: f.Invariant.Sentence(), Paragraph: f.Detail,
		Seed: f.Seed, Options: f.Options, Found: f.Found, Events: f.Steps, NeedsHost: true, Journal: f.Journal,
	}
	r.Failure.Reproduce = r.reproduce()
}

// replicasFailed reports whether a campaign of replicas has found something.
func (r *report) replicasFailed() bool { return r.found == nil && r.Failure != nil }

// replicaRows is overview's part about replicas.
func (r *report) replicaRows() (rows [][2]string) {
	for i, k := range r.Replicas {
		what := choose(i == 0, "replicas", "fresh")
		if i == len(r.Replicas)-1 && (r.Result == "broken" || r.Result == "unstable") {
			rows = append(rows, [2]string{what, fmt.Sprintf("seeds from %d on, %s", k.FirstSeed, r.cut())})
			continue
		}
		rows = append(rows, [2]string{what, fmt.Sprintf("%s runs (seeds %d-%d), %s events, %d situations met, trace hash %s; %d invariants held",
			grouped(k.Runs), k.FirstSeed, k.LastSeed, grouped(k.Events), k.Met, k.Hash, len(k.Invariants))})
	}
	return rows
}

// replicasFailure prints what a campaign of replicas has found.
func (r *report) replicasFailure(out io.Writer) {
	x := r.Failure
	fmt.Fprintf(out, "FAILED: the invariant %s is broken, in the run of seed %d at step %d.\n\n", x.Invariant, x.Seed, x.Found)
	for _, line := range wrapped(x.Sentence, 78) {
		fmt.Fprintf(out, "  %s\n", line)
	}
	fmt.Fprintf(out, "\nWhat happened, shrunk to %d of the run's steps:\n\n", x.Events)
	const most = 40
	lines := x.Journal
	if len(lines) > most {
		fmt.Fprintf(out, "  … %d more before\n", len(lines)-most)
		lines = lines[len(lines)-most:]
	}
	for _, line := range lines {
		fmt.Fprintf(out, "  %s\n", line)
	}
	fmt.Fprintf(out, "\n  reproduce  %s\n  options    %s\n", x.Reproduce, x.Options)
}

// listEngine prints the lists of the engine.
func listEngine(out io.Writer, o *checkOptions) {
	switch {
	case o.listBugs:
		for _, b := range enginecheck.Bugs() {
			if o.verbose {
				fmt.Fprintf(out, "%-24s  %s\n", b.Name, b.Sentence)
			} else {
				fmt.Fprintln(out, b.Name)
			}
		}
	case o.listInvs:
		for _, i := range check.Invariants() {
			fmt.Fprintf(out, "%-14s  %-16s  %s\n", i, i.Rule(), i.Sentence())
		}
		for _, i := range enginecheck.Invariants() {
			fmt.Fprintf(out, "%-14s  %-16s  %s\n", i, "the engine", i.Sentence())
		}
	default:
		for _, sentence := range append(check.Situations(), enginecheck.Situations()...) {
			fmt.Fprintln(out, sentence)
		}
	}
}
