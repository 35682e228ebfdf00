package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/enginecheck"
)

const (
	exitUnstable    = 3   // a run came out differently the second time
	exitUnmet       = 4   // a situation was never met
	exitInterrupted = 130 // as shells have it
)

// preset is a size of check.
type preset struct {
	seeds   uint64
	depth   int
	closure func(check.System) check.Closure // nil: none

	// Of the engine, which is slower by far: its store alone encrypts and logs.
	replicas    uint64 // seeds of the campaign of several replicas
	engineSeeds uint64
	engineDepth int
}

var presets = map[string]preset{
	"ci":      {seeds: 20_000, depth: 4, closure: check.SmallClosure, engineSeeds: 1000, engineDepth: 3, replicas: 1500},
	"nightly": {seeds: 5_000_000, depth: 5, closure: check.LargeClosure, engineSeeds: 50_000, engineDepth: 4, replicas: 100_000},
}

var (
	presetNames  = []cobra.Completion{"ci", "nightly"}
	systemNames  = []cobra.Completion{"rules", "engine"}
	checkOutputs = []cobra.Completion{"text", "json", "html"}
)

// freshSeeds is how many runs a fresh seed is the first of, and engineFresh with
// the engine.
const (
	freshSeeds  = 1000
	engineFresh = 200
)

type checkOptions struct {
	system      string
	preset      string
	seeds       string
	duration    time.Duration
	workers     int
	twice       bool
	exhaustive  bool
	fresh       bool
	bug         string
	output      string
	dir         string
	goTest      bool
	verbose     bool
	listBugs    bool
	listInvs    bool
	listPlaces  bool
	first, last uint64
}

func (c *cli) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use: "check [flags]",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return command.Hint(err, "run cvvsim check --help for the flags")
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return c.check(ctx, cmd, &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.system, "system", "rules", "")
	flags.StringVar(&o.preset, "preset", "ci", "")
	flags.StringVar(&o.seeds, "seeds", "", "")
	flags.DurationVar(&o.duration, "for", 0, "")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "")
	flags.BoolVar(&o.twice, "doublecheck", false, "")
	flags.BoolVar(&o.exhaustive, "exhaustive", false, "")
	flags.BoolVar(&o.fresh, "fresh", false, "")
	flags.StringVar(&o.bug, "bug", "", "")
	flags.StringVarP(&o.output, "output", "o", "text", "")
	flags.StringVar(&o.dir, "out", ".", "")
	flags.BoolVar(&o.goTest, "go-test", false, "")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "")
	flags.BoolVar(&o.listBugs, "list-bugs", false, "")
	flags.BoolVar(&o.listInvs, "list-invariants", false, "")
	flags.BoolVar(&o.listPlaces, "list-situations", false, "")
	mustComplete(cmd, "system", cobra.FixedCompletions(systemNames, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "preset", cobra.FixedCompletions(presetNames, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "output", cobra.FixedCompletions(checkOutputs, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "bug", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		for _, b := range check.Bugs() {
			names = append(names, cobra.CompletionWithDesc(b.Name, b.Sentence))
		}
		if o.system == "engine" {
			names = nil
			for _, b := range enginecheck.Bugs() {
				names = append(names, cobra.CompletionWithDesc(b.Name, b.Sentence))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// check finds what is wrong with the flags before anything runs.
func (o *checkOptions) check(cmd *cobra.Command, args []string) error {
	set := cmd.Flags().Changed
	lists := 0
	for _, list := range []bool{o.listBugs, o.listInvs, o.listPlaces} {
		if list {
			lists++
		}
	}
	switch {
	case len(args) > 0:
		return fmt.Errorf("check takes no files, only flags: %q is in the way", args[0])
	case lists > 1:
		return errors.New("one list at a time")
	case !slices.Contains(checkOutputs, o.output):
		return fmt.Errorf("-o %s: one of %s is needed", o.output, strings.Join(checkOutputs, ", "))
	case !slices.Contains(systemNames, o.system):
		return fmt.Errorf("--system %s: one of %s is needed", o.system, strings.Join(systemNames, ", "))
	case !slices.Contains(presetNames, o.preset):
		return fmt.Errorf("--preset %s: one of %s is needed", o.preset, strings.Join(presetNames, ", "))
	case o.workers < 1:
		return fmt.Errorf("--workers %d: at least 1 is needed", o.workers)
	case set("for") && o.duration <= 0:
		return fmt.Errorf("--for %v: a positive duration such as 10m is needed", o.duration)
	case set("bug") && o.fresh:
		return errors.New("--bug and --fresh exclude each other: a bug is found with the fixed seeds")
	case o.dir == "":
		return errors.New("--out needs a directory")
	}
	if info, err := os.Stat(o.dir); set("out") && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--out %s: not a directory", o.dir)
	}
	_, known := check.FindBug(o.bug)
	_, knownInEngine := enginecheck.FindBug(o.bug)
	switch {
	case o.system == "engine" && set("bug") && !knownInEngine:
		return command.Hint(fmt.Errorf("no bug of the engine is named %q", o.bug), "run cvvsim check --system engine --list-bugs for the names")
	case o.system == "engine" && set("bug") && o.exhaustive:
		return command.Hint(fmt.Errorf("the bug %s is found by the campaign of replicas alone", o.bug), "leave --exhaustive out")
	case o.system == "rules" && knownInEngine:
		return command.Hint(fmt.Errorf("%s is a bug of the engine", o.bug), "add --system engine")
	case o.system == "rules" && set("bug") && !known:
		return command.Hint(fmt.Errorf("no bug is named %q", o.bug), "run cvvsim check --list-bugs for the names")
	}
	o.first, o.last = 1, presets[o.preset].seeds
	if set("for") {
		o.last = math.MaxUint64 - 1
	}
	if set("seeds") {
		return o.parseSeeds()
	}
	return nil
}

func (o *checkOptions) parseSeeds() (err error) {
	first, last, isRange := strings.Cut(o.seeds, "-")
	if o.first, err = strconv.ParseUint(first, 10, 63); err == nil {
		o.last = o.first
		if isRange {
			o.last, err = strconv.ParseUint(last, 10, 63)
		}
	}
	if err != nil || o.first < 1 || o.last < o.first {
		return fmt.Errorf("--seeds %q: a range such as 1-1000, or one seed, is needed; seeds count from 1", o.seeds)
	}
	return nil
}

func (c *cli) check(ctx context.Context, cmd *cobra.Command, o *checkOptions) error {
	out := bufio.NewWriter(c.Stdout)
	defer out.Flush()
	switch {
	case o.system == "engine" && (o.listBugs || o.listInvs || o.listPlaces):
		listEngine(out, o)
		return nil
	case o.listBugs:
		listBugs(out, o.verbose)
		return nil
	case o.listInvs:
		for _, i := range check.Invariants() {
			fmt.Fprintf(out, "%-14s  %-16s  %s\n", i, i.Rule(), i.Sentence())
		}
		return nil
	case o.listPlaces:
		for _, sentence := range check.Situations() {
			fmt.Fprintln(out, sentence)
		}
		return nil
	}

	if o.system == "engine" {
		return c.checkEngine(ctx, cmd, o, out)
	}
	bug, _ := check.FindBug(o.bug)
	r := newReport(o, bug)
	system := check.Rules(rotation.Rules{})
	if o.bug != "" {
		system = bug.System()
	}
	set := cmd.Flags().Changed
	ranged := set("seeds") || set("for")
	// All of it, unless a flag asks for one part.
	campaign := ranged || !o.exhaustive || o.fresh
	exhaustive := o.exhaustive || set("preset") || !ranged && o.bug == ""
	if bug.InHost() {
		if !campaign {
			return command.Hint(fmt.Errorf("the bug %s is in the host, and only a campaign simulates one", bug.Name), "leave --exhaustive out")
		}
		exhaustive = false
	}

	if exhaustive {
		c.exhaustive(ctx, o, presets[o.preset], system, r)
	}
	if campaign && r.found == nil && ctx.Err() == nil {
		c.campaign(ctx, o, check.Campaign{System: system, Bug: bug, First: o.first, Last: o.last, For: o.duration}, r)
	}
	if o.fresh && r.found == nil && r.Unstable == nil && ctx.Err() == nil {
		r.FreshSeed = 1 + uint64(rand.Uint32())
		fmt.Fprintf(c.Stderr, "note: fresh seed %d; the same again: --seeds %d-%d\n", r.FreshSeed, r.FreshSeed, r.FreshSeed+freshSeeds-1)
		c.campaign(ctx, o, check.Campaign{System: system, First: r.FreshSeed, Last: r.FreshSeed + freshSeeds - 1}, r)
	}
	return c.finish(ctx, o, out, r)
}

// finish prints the report and turns what was found into an exit status.
func (c *cli) finish(ctx context.Context, o *checkOptions, out *bufio.Writer, r *report) error {
	r.settle(ctx)
	if err := r.writeFiles(o); err != nil {
		return err
	}
	var err error
	switch o.output {
	case "json":
		err = r.json(out)
	case "html":
		err = r.html(out)
	default:
		r.text(out)
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if r.events > 0 {
		fmt.Fprintf(c.Stderr, "note: %.1fs, %s events a second with %d workers\n",
			r.Elapsed, grouped(int64(float64(r.events)/r.campaignTime.Seconds())), o.workers)
	}
	if o.goTest && (r.found != nil && r.Failure.GoTest == "" || r.replicasFailed()) {
		fmt.Fprintln(c.Stderr, "note: no Go test: this failure is not one of events that package rotation could be given")
	}
	if r.status != exitDone {
		return command.Status(r.status)
	}
	return nil
}

// exhaustive does the sequences and the closure of a preset.
func (c *cli) exhaustive(ctx context.Context, o *checkOptions, p preset, system check.System, r *report) {
	line := c.statusLine()
	defer line.clear()
	line.show("every sequence of %d events", p.depth)
	r.sequences(p.depth, check.Sequences{System: system, Depth: p.depth}.Run(ctx))
	if r.found != nil || ctx.Err() != nil {
		return
	}
	if p.closure == nil {
		return
	}
	line.show("the closure")
	closure := p.closure(system)
	closure.Workers = o.workers
	r.closure(closure.Run(ctx))
}

// campaign does one campaign and adds it to the report.
func (c *cli) campaign(ctx context.Context, o *checkOptions, k check.Campaign, r *report) {
	line := c.statusLine()
	defer line.clear()
	k.Workers, k.Twice = o.workers, o.twice
	k.Progress, k.Each = c.watch(line, o, "")
	r.campaign(k.Run(ctx))
}

// watch returns what shows a campaign's progress and its runs: nil for what
// nobody looks at. What is shown begins with the kind of campaign.
func (c *cli) watch(line *statusLine, o *checkOptions, kind string) (progress func(check.Progress), each func(check.Run)) {
	started := time.Now()
	if line.on {
		progress = func(p check.Progress) {
			line.show("%s%s runs, %s events, %s a second, %d of %d situations met", kind,
				grouped(p.Runs), grouped(p.Events), grouped(int64(float64(p.Events)/time.Since(started).Seconds())), p.Met, p.Places)
		}
	}
	if o.verbose {
		each = func(run check.Run) {
			line.clear()
			fmt.Fprintf(c.Stderr, "%sseed %d: hash %016x, %d events, %s\n", kind, run.Seed, run.Hash, run.Events, run.Options)
		}
	}
	return progress, each
}

// statusLine is a line on a terminal that is written over; elsewhere nothing.
type statusLine struct {
	c    *cli
	on   bool
	last time.Time
}

func (c *cli) statusLine() *statusLine {
	f, ok := c.Stderr.(*os.File)
	return &statusLine{c: c, on: ok && term.IsTerminal(int(f.Fd()))}
}

func (l *statusLine) show(format string, args ...any) {
	if l.on && time.Since(l.last) > 200*time.Millisecond {
		l.last = time.Now()
		fmt.Fprintf(l.c.Stderr, "\r\x1b[K"+format, args...)
	}
}

func (l *statusLine) clear() {
	if l.on {
		fmt.Fprint(l.c.Stderr, "\r\x1b[K")
	}
}
