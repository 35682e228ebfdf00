package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/check/enginecheck"
	"cvvrotation/sim/check/report"
)

const (
	exitUnstable    = 3   // a run came out differently the second time
	exitUnmet       = 4   // a coverage goal was never met
	exitInterrupted = 130 // as shells have it
)

// checkStatus holds the exit status of each result.
var checkStatus = map[report.Result]int{
	report.ResultPassed: exitDone, report.ResultBroken: exitDifference, report.ResultUnstable: exitUnstable,
	report.ResultUnmet: exitUnmet, report.ResultInterrupted: exitInterrupted,
}

// size is how much a preset searches in one system.
type size struct {
	depth    int                              // of the sequences
	closure  func(check.System) check.Closure // nil: none
	seeds    uint64                           // of the campaign
	replicas uint64                           // seeds of the campaign of replicas
	fresh    uint64                           // further seeds with --fresh
}

// sizes holds the presets by system. The engine is slower by far: its store
// alone encrypts and logs.
var sizes = map[string]map[string]size{
	"rules": {
		"ci":      {depth: 4, closure: check.SmallClosure, seeds: 20_000, fresh: 1000},
		"nightly": {depth: 5, closure: check.LargeClosure, seeds: 5_000_000, fresh: 1000},
	},
	"engine": {
		"ci":      {depth: 3, seeds: 1000, replicas: 1500, fresh: 200},
		"nightly": {depth: 4, seeds: 50_000, replicas: 100_000, fresh: 200},
	},
	"timers": {
		"ci":      {seeds: 1000, fresh: 200},
		"nightly": {seeds: 200_000, fresh: 200},
	},
}

var (
	presetNames  = []cobra.Completion{"ci", "nightly"}
	systemNames  = []cobra.Completion{"rules", "engine", "timers"}
	checkOutputs = []cobra.Completion{"text", "json", "html"}
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
	listGoals   bool
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
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
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
	flags.BoolVar(&o.listGoals, "list-goals", false, "")
	mustComplete(cmd, "system", cobra.FixedCompletions(systemNames, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "preset", cobra.FixedCompletions(presetNames, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "output", cobra.FixedCompletions(checkOutputs, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "bug", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return o.bugNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// check finds what is wrong with the flags before anything runs.
func (o *checkOptions) check(cmd *cobra.Command, args []string) error {
	set := cmd.Flags().Changed
	bug, known := check.FindBug(o.bug)
	_, knownInEngine := enginecheck.FindBug(o.bug)
	campaigns := set("seeds") || set("for") || o.fresh || !o.exhaustive
	switch {
	case len(args) > 0:
		return fmt.Errorf("check takes no files, only flags: %q is in the way", args[0])
	case o.listBugs || o.listInvs || o.listGoals:
		return o.checkList(cmd)
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
	case set("preset") && set("seeds") && !o.exhaustive:
		return errors.New("--preset and --seeds exclude each other without --exhaustive: the seeds are the campaign's size")
	case !campaigns && (o.twice || o.verbose):
		return errors.New("--exhaustive draws no runs for --doublecheck or --verbose: add --seeds, --for or --fresh")
	case set("bug") && o.fresh:
		return errors.New("--bug and --fresh exclude each other: a bug is found with the fixed seeds")
	case o.dir == "":
		return errors.New("--out needs a directory")
	}
	if info, err := os.Stat(o.dir); set("out") && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--out %s: not a directory", o.dir)
	}
	switch {
	case o.system == "engine" && set("bug") && !knownInEngine:
		return command.Hint(fmt.Errorf("no bug of the engine is named %q", o.bug), "run cvvsim check --system engine --list-bugs for the names")
	case o.system == "engine" && set("bug") && o.exhaustive:
		return command.Hint(fmt.Errorf("the bug %s is found by the campaign of replicas alone", o.bug), "leave --exhaustive out")
	case o.system == "engine" && set("bug") && (set("out") || o.goTest):
		return command.Hint(errors.New("a failure of replicas has no timeline and no Go test: its steps are printed"), "leave --out and --go-test out")
	case o.system == "timers" && (set("bug") || o.exhaustive):
		return command.Hint(errors.New("only the campaign has timers, and no bug of them is known"), "leave --bug and --exhaustive out")
	case o.system == "rules" && knownInEngine && !known:
		return command.Hint(fmt.Errorf("%s is a bug of the engine", o.bug), "add --system engine")
	case bug.InHost() && o.exhaustive:
		return command.Hint(fmt.Errorf("the bug %s is in the host, and only a campaign simulates one", bug.Name), "leave --exhaustive out")
	case o.system == "rules" && set("bug") && !known:
		return command.Hint(fmt.Errorf("no bug is named %q", o.bug), "run cvvsim check --list-bugs for the names")
	}
	o.first, o.last = 1, math.MaxUint64-1
	if set("seeds") {
		return o.parseSeeds()
	}
	return nil
}

// checkList finds a flag that the list would ignore.
func (o *checkOptions) checkList(cmd *cobra.Command) (err error) {
	list := "list-goals"
	if o.listBugs {
		list = "list-bugs"
	} else if o.listInvs {
		list = "list-invariants"
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != list && f.Name != "system" && (f.Name != "verbose" || !o.listBugs) && err == nil {
			err = fmt.Errorf("--%s and --%s exclude each other", list, f.Name)
		}
	})
	switch {
	case err != nil:
		return err
	case !slices.Contains(systemNames, o.system):
		return fmt.Errorf("--system %s: one of %s is needed", o.system, strings.Join(systemNames, ", "))
	case o.listBugs && o.system == "timers":
		return errors.New("no bug of the timers is known")
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

// check runs the searches that the flags select and reports what they found.
func (c *cli) check(ctx context.Context, cmd *cobra.Command, o *checkOptions) error {
	out := bufio.NewWriter(c.Stdout)
	if o.listBugs || o.listInvs || o.listGoals {
		o.list(out)
		return out.Flush()
	}
	set, size, engine := cmd.Flags().Changed, sizes[o.system][o.preset], o.system == "engine"
	ranged := set("seeds") || set("for")
	// Everything, unless a flag selects one part.
	campaigns := ranged || !o.exhaustive || o.fresh
	exhaustive := o.exhaustive || !ranged && (o.bug == "" || set("preset"))
	system, cards := check.Rules(rotation.Rules{}), true
	bug, _ := check.FindBug(o.bug)
	engineBug, _ := enginecheck.FindBug(o.bug)
	sentence, limit, ciSize := bug.Sentence, o.duration, sizes[o.system]["ci"]
	switch {
	case engine:
		system, sentence = enginecheck.System(), engineBug.Sentence
		if cards = o.bug == ""; cards { // the bugs of the engine are in its replicas
			limit /= 2
		}
		exhaustive = exhaustive && cards
	case o.system == "timers":
		// They are never late, so some of the coverage goals are not met.
		system, exhaustive, ciSize.seeds = check.OnTimers(rotation.Rules{}), false, math.MaxInt64
	case o.bug != "":
		system, exhaustive = bug.System(), exhaustive && !bug.InHost()
	}
	r := report.New(report.Options{
		System: o.system, Bug: o.bug, Sentence: sentence, Preset: o.preset, Workers: o.workers,
		MinRuns: int64(ciSize.seeds), MinReplicas: int64(ciSize.replicas), Dir: o.dir, GoTest: o.goTest, Write: c.WriteFile,
	})
	open := func() bool { return r.Open() && ctx.Err() == nil }
	search := func(first, last, lastReplica uint64, limit time.Duration) {
		options := campaign.Options{First: first, Last: last, For: limit, Workers: o.workers, Twice: o.twice}
		if cards && open() {
			r.AddCampaign(simulate(ctx, c, o, "", check.Campaign(system, bug), options))
		}
		if options.Last = lastReplica; engine && open() {
			r.AddReplicas(simulate(ctx, c, o, "replicas: ", enginecheck.Campaign(engineBug), options))
		}
	}
	if exhaustive {
		c.exhaustive(ctx, o, size, system, r)
	}
	switch {
	case ranged && set("preset") && !set("seeds"):
		search(1, size.seeds, size.replicas, limit)
	case ranged:
		search(o.first, o.last, o.last, limit)
	case campaigns:
		search(1, size.seeds, size.replicas, 0)
	}
	if o.fresh && open() {
		first := 1 + uint64(rand.Uint32())
		last := first + size.fresh - 1
		r.FreshSeed = first
		fmt.Fprintf(c.Stderr, "note: fresh seed %d; to repeat: --system %s --seeds %d-%d\n", first, o.system, first, last)
		search(first, last, last, 0)
	}
	return c.finish(ctx, o, out, r)
}

// finish prints the report and turns its result into an exit status.
func (c *cli) finish(ctx context.Context, o *checkOptions, out *bufio.Writer, r *report.Report) error {
	r.Finish(ctx)
	var err error
	switch o.output {
	case "json":
		err = r.WriteJSON(out)
	case "html":
		err = r.WriteHTML(out)
	default:
		err = r.WriteText(out)
	}
	f := r.Failure
	switch err := errors.Join(err, out.Flush()); {
	case err != nil && f != nil:
		fmt.Fprintf(c.Stderr, "error: %v\nerror: the invariant %s is broken\nhint: %s\n", err, f.Invariant, f.Reproduce)
		return command.Status(exitDifference)
	case err != nil:
		return err
	}
	if speed := r.Speed(); speed != "" {
		fmt.Fprintf(c.Stderr, "note: %s\n", speed)
	}
	if f != nil {
		for _, why := range f.Unwritten {
			fmt.Fprintf(c.Stderr, "warning: not written, so printed: %s\n", why)
		}
	}
	if o.goTest && f != nil && f.GoTest == "" && f.Source == "" {
		fmt.Fprintln(c.Stderr, "note: no Go test written: this failure needs more than events given to package rotation")
	}
	if status := checkStatus[r.Result]; status != exitDone {
		return command.Status(status)
	}
	return nil
}

// exhaustive runs the sequences and the closure.
func (c *cli) exhaustive(ctx context.Context, o *checkOptions, s size, system check.System, r *report.Report) {
	line := c.statusLine()
	defer line.clear()
	line.show("every sequence of %d events", s.depth)
	r.AddSequences(s.depth, check.Sequences(ctx, system, s.depth))
	if s.closure == nil || !r.Open() || ctx.Err() != nil {
		return
	}
	line.show("the closure")
	closure := s.closure(system)
	closure.Workers = o.workers
	r.AddClosure(closure.Run(ctx))
}

// simulate runs a campaign and shows its progress, each line with the prefix.
func simulate[F any](ctx context.Context, c *cli, o *checkOptions, prefix string, k campaign.Campaign[F], options campaign.Options) campaign.Result[F] {
	line := c.statusLine()
	defer line.clear()
	started := time.Now()
	if line.on {
		options.Progress = func(p campaign.Progress) {
			line.show("%s%s runs, %s events, %s a second, %d of %d coverage goals met", prefix, report.Grouped(p.Runs),
				report.Grouped(p.Events), report.Grouped(int64(float64(p.Events)/time.Since(started).Seconds())), p.Met, p.Goals)
		}
	}
	if o.verbose {
		options.Each = func(run campaign.Run) {
			line.clear()
			fmt.Fprintf(c.Stderr, "%sseed %d: hash %016x, %d events, %s\n", prefix, run.Seed, run.Hash, run.Events, run.Options)
		}
	}
	return k.Run(ctx, options)
}

// list prints a list that the flags ask for.
func (o *checkOptions) list(out io.Writer) {
	engine := o.system == "engine"
	switch {
	case o.listGoals:
		goals := check.Goals()
		if engine {
			goals = append(goals, enginecheck.Goals()...)
		}
		for _, sentence := range goals {
			fmt.Fprintln(out, sentence)
		}
	case o.listInvs:
		listInvariants(out, check.Invariants())
		if engine {
			listInvariants(out, enginecheck.Invariants())
		}
	case !o.verbose:
		for _, name := range o.bugNames() {
			name, _, _ := strings.Cut(name, "\t")
			fmt.Fprintln(out, name)
		}
	case engine:
		for _, b := range enginecheck.Bugs() {
			fmt.Fprintf(out, "%-24s  %s\n", b.Name, b.Sentence)
		}
	default:
		for _, b := range check.Bugs() {
			fmt.Fprintf(out, "%-28s  %-6s  %s\n", b.Name, b.Rule, b.Sentence)
		}
		fmt.Fprintln(out, "\nBugs that other schedulers have had, and the bugs above that stand for them:")
		for _, p := range check.Peers() {
			fmt.Fprintf(out, "%-18s  %s: %s\n", p.Where, p.Sentence, strings.Join(p.Bugs, ", "))
		}
	}
}

func listInvariants[I interface {
	fmt.Stringer
	Rule() string
	Sentence() string
}](out io.Writer, invariants []I) {
	for _, i := range invariants {
		fmt.Fprintf(out, "%-14s  %-16s  %s\n", i, i.Rule(), i.Sentence())
	}
}

// bugNames returns the names of the system's bugs as completions.
func (o *checkOptions) bugNames() (names []cobra.Completion) {
	if o.system == "engine" {
		for _, b := range enginecheck.Bugs() {
			names = append(names, cobra.CompletionWithDesc(b.Name, b.Sentence))
		}
		return names
	}
	for _, b := range check.Bugs() {
		names = append(names, cobra.CompletionWithDesc(b.Name, b.Sentence))
	}
	return names
}
