package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cvvrotation/sim/check"
)

// report is what a check did and found; its exported fields are its JSON.
type report struct {
	preset       string
	System       string            `json:"system"`
	Bug          string            `json:"bug,omitempty"`
	Result       string            `json:"result"` // passed, broken, unstable, unmet or interrupted
	Workers      int               `json:"workers"`
	Elapsed      float64           `json:"elapsed_seconds"`
	Sequences    *sequencesReport  `json:"sequences,omitempty"`
	Closure      *closureReport    `json:"closure,omitempty"`
	Campaigns    []campaignReport  `json:"campaigns,omitempty"`
	Replicas     []replicasReport  `json:"replicas,omitempty"` // campaigns of several engines on one store
	FreshSeed    uint64            `json:"fresh_seed,omitempty"`
	PerSecond    int64             `json:"events_per_second,omitempty"`
	Situations   []situationReport `json:"situations,omitempty"`
	MustMeet     bool              `json:"must_meet_situations"` // the campaign is large enough
	Invariants   []string          `json:"invariants"`
	Failure      *failureReport    `json:"failure,omitempty"`
	Unstable     *check.Unstable   `json:"unstable,omitempty"`
	started      time.Time
	campaignTime time.Duration
	events       int64
	atLeast      int64 // runs from which on every situation must have been met
	runs         int64
	found        *check.Failure
	engine       bool // the system is the engine
	status       int
}

type sequencesReport struct {
	Depth     int   `json:"depth"`
	Sequences int64 `json:"sequences"`
	Events    int64 `json:"events"`
	Done      bool  `json:"done"`
}

type closureReport struct {
	States      int   `json:"states"`
	Transitions int64 `json:"transitions"`
	Rounds      int   `json:"rounds"`
	Closed      bool  `json:"closed"`
}

type campaignReport struct {
	Runs      int64  `json:"runs"`
	FirstSeed uint64 `json:"first_seed"`
	LastSeed  uint64 `json:"last_seed"`
	Events    int64  `json:"events"`
	Hash      string `json:"trace_hash"`
}

type situationReport struct {
	Sentence string `json:"situation"`
	Met      uint64 `json:"met"`
}

type failureReport struct {
	Invariant string   `json:"invariant"`
	Rule      string   `json:"rule"`
	Sentence  string   `json:"sentence"`
	Also      []string `json:"also_broken,omitempty"`
	Paragraph string   `json:"explanation"`
	Seed      uint64   `json:"seed,omitempty"`
	Options   string   `json:"options,omitempty"`
	Found     int      `json:"found_after_events,omitempty"`
	Events    int      `json:"events"`
	NeedsHost bool     `json:"needs_host"`
	Journal   []string `json:"journal,omitempty"`
	Timeline  string   `json:"timeline,omitempty"`
	File      string   `json:"timeline_file,omitempty"`
	GoTest    string   `json:"go_test_file,omitempty"`
	Replay    string   `json:"replay,omitempty"`
	Reproduce string   `json:"reproduce"`
}

func newReport(o *checkOptions, bug check.Bug) *report {
	r := &report{
		preset: o.preset, System: "the rules (package rotation)", Bug: bug.Name, Workers: o.workers, started: time.Now(),
		atLeast: int64(presets["ci"].seeds),
	}
	if bug.Name != "" {
		r.System = fmt.Sprintf("the bug %s: %s", bug.Name, bug.Sentence)
	}
	for _, i := range check.Invariants() {
		r.Invariants = append(r.Invariants, i.String())
	}
	return r
}

func (r *report) sequences(depth int, s check.SequencesResult) {
	r.Sequences = &sequencesReport{depth, s.Sequences, s.Events, s.Done}
	r.found = s.Failure
}

func (r *report) closure(c check.ClosureResult) {
	r.Closure = &closureReport{c.States, c.Transitions, c.Rounds, c.Closed}
	r.found = c.Failure
}

func (r *report) campaign(k check.Result) {
	r.Campaigns = append(r.Campaigns, campaignReport{k.Runs, k.FirstSeed, k.LastSeed, k.Events, fmt.Sprintf("%016x", k.Hash)})
	r.runs += k.Runs
	r.events += k.Events
	r.campaignTime += k.Elapsed
	r.found, r.Unstable = k.Failure, k.Unstable
	for i, p := range k.Places {
		if i == len(r.Situations) {
			r.Situations = append(r.Situations, situationReport{Sentence: p.Sentence})
		}
		r.Situations[i].Met += p.Met
	}
}

// never returns the situations that were never met.
func (r *report) never() (never []string) {
	for _, s := range r.Situations {
		if s.Met == 0 {
			never = append(never, s.Sentence)
		}
	}
	return never
}

// settle says how it ended.
func (r *report) settle(ctx context.Context) {
	r.Elapsed = math.Round(time.Since(r.started).Seconds()*1000) / 1000
	if r.campaignTime > 0 {
		r.PerSecond = int64(float64(r.events) / r.campaignTime.Seconds())
	}
	r.MustMeet = r.Bug == "" && r.runs >= r.atLeast
	switch {
	case r.found != nil, r.replicasFailed():
		r.Result, r.status = "broken", exitDifference
	case r.Unstable != nil:
		r.Result, r.status = "unstable", exitUnstable
	case ctx.Err() != nil:
		r.Result, r.status = "interrupted", exitInterrupted
	case r.MustMeet && len(r.never()) > 0:
		r.Result, r.status = "unmet", exitUnmet
	default:
		r.Result, r.status = "passed", exitDone
	}
}

// reproduce is the command that finds the failure again.
func (r *report) reproduce() string {
	words := []string{"cvvsim check"}
	if r.engine {
		words = append(words, "--system engine")
	}
	if r.Bug != "" {
		words = append(words, "--bug "+r.Bug)
	}
	if r.replicasFailed() {
		words = append(words, fmt.Sprintf("--seeds %d", r.Failure.Seed))
	} else if f := r.found; f == nil || f.Seed == 0 {
		words = append(words, "--exhaustive")
		if r.preset != "ci" {
			words = append(words, "--preset "+r.preset)
		}
	} else {
		words = append(words, fmt.Sprintf("--seeds %d", f.Seed))
	}
	return strings.Join(words, " ")
}

// writeFiles writes the failure's files, and what the report says of it.
func (r *report) writeFiles(o *checkOptions) error {
	f := r.found
	if f == nil {
		return nil
	}
	x := &failureReport{
		Invariant: f.Invariant.String(), Rule: f.Invariant.Rule(), Sentence: f.Invariant.Sentence(), Paragraph: f.Paragraph(),
		Seed: f.Seed, Options: f.Options, Found: f.Found, Events: len(f.Events), NeedsHost: f.NeedsHost, Journal: f.Journal,
		Reproduce: r.reproduce(),
	}
	for _, i := range f.Also {
		x.Also = append(x.Also, i.String())
	}
	r.Failure = x
	if f.FromState {
		return nil // a timeline starts with a new card
	}
	name := "check-" + x.Invariant
	if r.Bug != "" {
		name = "check-" + r.Bug + "-" + x.Invariant
	}
	comments := []string{x.Invariant, "", "Broken by " + r.System + ".", ""}
	comments = append(comments, wrapped(x.Paragraph, 76)...)
	for _, line := range f.Journal {
		comments = append(comments, "  "+line)
	}
	comments = append(comments, "", "What each event expects is what the reference model says of it.", "Found by: "+x.Reproduce)
	text, err := f.Timeline(comments...)
	if err != nil {
		return err
	}
	x.Timeline, x.File = string(text), filepath.Join(o.dir, name+".timeline")
	if err := os.WriteFile(x.File, text, 0o644); err != nil {
		return err
	}
	x.Replay = "cvvsim replay " + x.File
	if o.goTest && !f.NeedsHost {
		x.GoTest = filepath.Join(o.dir, strings.ReplaceAll(name, "-", "_")+"_test.go")
		source, err := f.GoTest()
		if err != nil {
			return err
		}
		return os.WriteFile(x.GoTest, source, 0o644)
	}
	return nil
}

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// overview is what was done, a name and what belongs to it in each row. It does
// not depend on the time, or on the number of workers.
func (r *report) overview() (rows [][2]string) {
	row := func(what, format string, args ...any) {
		rows = append(rows, [2]string{what, fmt.Sprintf(format, args...)})
	}
	row("system", "%s", r.System)
	// How far a search got that did not come to its end depends on the workers.
	if s := r.Sequences; s != nil && s.Done {
		row("sequences", "%s of %d events each, all of them tried", grouped(s.Sequences), s.Depth)
	} else if s != nil {
		row("sequences", "of %d events each, %s", s.Depth, r.cut())
	}
	if c := r.Closure; c != nil && c.Closed {
		row("closure", "%s states, %s transitions, closed after %d rounds", grouped(int64(c.States)), grouped(c.Transitions), c.Rounds)
	} else if c != nil {
		row("closure", "not closed, %s", r.cut())
	}
	for i, k := range r.Campaigns {
		what := choose(i == 0, "campaign", "fresh")
		if r.Result == "broken" || r.Result == "unstable" {
			row(what, "seeds from %d on, %s", k.FirstSeed, r.cut())
			continue
		}
		row(what, "%s runs (seeds %d-%d), %s events, trace hash %s", grouped(k.Runs), k.FirstSeed, k.LastSeed, grouped(k.Events), k.Hash)
	}
	rows = append(rows, r.replicaRows()...)
	if r.found == nil && !r.replicasFailed() && (len(r.Campaigns) > 0 || r.Sequences != nil) {
		row("invariants", "%d, all of them held", len(r.Invariants))
	}
	if len(r.Situations) > 0 && r.found == nil && !r.replicasFailed() && r.Unstable == nil {
		if never := len(r.never()); never > 0 && !r.MustMeet {
			row("situations", "%d of %d met; too few runs to ask for all", len(r.Situations)-never, len(r.Situations))
			return rows
		}
		rarest := slices.MinFunc(r.Situations, func(a, b situationReport) int { return int(min(a.Met, 1<<30)) - int(min(b.Met, 1<<30)) })
		row("situations", "%d of %d met; the rarest, %s times: %s",
			len(r.Situations)-len(r.never()), len(r.Situations), grouped(int64(rarest.Met)), rarest.Sentence)
	}
	return rows
}

// conclusion is how it ended, but for a broken invariant.
func (r *report) conclusion() string {
	switch r.Result {
	case "passed":
		return choose(r.Bug == "", "passed", "not found: nothing that was tried shows the bug")
	case "interrupted":
		return "interrupted: what was tried until then held"
	case "unmet":
		return "FAILED: the campaign never met\n  " + strings.Join(r.never(), "\n  ") +
			"\nso it says nothing about that. Widen what is drawn for a run, or take more seeds."
	case "unstable":
		u := r.Unstable
		return fmt.Sprintf("FAILED: not deterministic. Seed %d came out as %016x and, run again, as %016x.\n"+
			"\n  options    %s\n  reproduce  cvvsim check %s--doublecheck --seeds %d",
			u.Seed, u.First, u.Second, u.Options, choose(r.engine, "--system engine ", ""), u.Seed)
	}
	return r.Result
}

// text prints the report for people.
func (r *report) text(out io.Writer) {
	for _, row := range r.overview() {
		fmt.Fprintf(out, "%-11s %s\n", row[0], row[1])
	}
	fmt.Fprintln(out)
	switch {
	case r.replicasFailed():
		r.replicasFailure(out)
	case r.found != nil:
		r.failure(out)
	default:
		fmt.Fprintln(out, r.conclusion())
	}
}

// cut says why a search did not come to its end.
func (r *report) cut() string {
	return choose(r.Result == "interrupted", "interrupted", "ended by a failure")
}

// failure prints what is broken.
func (r *report) failure(out io.Writer) {
	x := r.Failure
	fmt.Fprintf(out, "FAILED: the invariant %s is broken", x.Invariant)
	if x.Seed != 0 {
		fmt.Fprintf(out, ", in the run of seed %d at its card's event %d", x.Seed, x.Found)
	}
	fmt.Fprint(out, ".\n\n")
	for _, line := range wrapped(x.Paragraph, 78) {
		fmt.Fprintf(out, "  %s\n", line)
	}
	if len(x.Also) > 0 {
		fmt.Fprintf(out, "\n  The same event also breaks: %s.\n", strings.Join(x.Also, ", "))
	}
	if r.found.FromState {
		fmt.Fprintf(out, "\n  reproduce  %s\n", x.Reproduce)
		return
	}
	fmt.Fprintln(out, choose(x.NeedsHost, "\nWhat happened, as far as this card is concerned:\n", "\nThe events, shrunk; after => what the rules say:\n"))
	const most = 24
	lines := x.Journal
	if !x.NeedsHost {
		lines = slices.DeleteFunc(strings.Split(strings.TrimSpace(x.Timeline), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "# Here") && !strings.HasPrefix(l, "# Of")
		})
	}
	if len(lines) > most {
		fmt.Fprintf(out, "  … %d more before, in the file\n", len(lines)-most)
		lines = lines[len(lines)-most:]
	}
	for _, line := range lines {
		fmt.Fprintf(out, "  %s\n", line)
	}
	fmt.Fprintf(out, "\n  written to %s\n", x.File)
	if x.GoTest != "" {
		fmt.Fprintf(out, "  Go test    %s\n", x.GoTest)
	}
	fmt.Fprintf(out, "  replay     %s\n", x.Replay)
	if x.NeedsHost {
		fmt.Fprintln(out, "             (each decision by itself is right: the host is at fault, as told above)")
	} else {
		fmt.Fprintf(out, "  verify     cvvsim verify %s   (no difference: package rotation gets it right)\n", x.File)
	}
	fmt.Fprintf(out, "  reproduce  %s\n", x.Reproduce)
	if x.Options != "" {
		fmt.Fprintf(out, "  options    %s\n", x.Options)
	}
}

// listBugs prints the names, one a line; with more, what each gets wrong and
// which bugs of others it stands for.
func listBugs(out io.Writer, more bool) {
	for _, b := range check.Bugs() {
		if !more {
			fmt.Fprintln(out, b.Name)
			continue
		}
		fmt.Fprintf(out, "%-28s  %-6s  %s\n", b.Name, b.Rule, b.Sentence)
	}
	if !more {
		return
	}
	fmt.Fprintln(out, "\nBugs that others have had, and those above that must stay caught for them:")
	for _, p := range check.Peers() {
		fmt.Fprintf(out, "%-18s  %s: %s\n", p.Where, p.Sentence, strings.Join(p.Bugs, ", "))
	}
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// grouped is n with a comma between groups of three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// wrapped breaks text into lines of at most so many bytes, where words allow.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
