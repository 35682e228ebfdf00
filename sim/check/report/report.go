// Package report renders what the searches of packages check and enginecheck
// found: as text for a person, as JSON and as an HTML page. A failure's timeline and Go
// test go to files, or into the report where they cannot be written.
package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/check/enginecheck"
)

// Options describe the check that is reported.
type Options struct {
	System      string // of cvvsim check --system: rules (default), engine or timers
	Bug         string // the name of the shipped bug that is searched for; default none
	Sentence    string // what the bug gets wrong
	Preset      string // of the exhaustive searches; default "ci"
	Workers     int
	MinRuns     int64  // campaigns of fewer runs need not meet every coverage goal
	MinReplicas int64  // the same for campaigns of replicas
	Dir         string // folder of a failure's files; default the current one
	GoTest      bool   // also write a Go test of a failure
	// Write writes a file. If it returns an error, or is nil, the report has the content.
	Write func(name string, content []byte) error
}

// Report is what a check did and found. Its JSON form is stable.
type Report struct {
	System      string             `json:"system"`
	Bug         string             `json:"bug,omitempty"`
	Result      Result             `json:"result"`
	Workers     int                `json:"workers"`
	Elapsed     float64            `json:"elapsed_seconds"`
	Sequences   *Sequences         `json:"sequences,omitempty"`
	Closure     *Closure           `json:"closure,omitempty"`
	Campaigns   []Campaign         `json:"campaigns,omitempty"`
	Replicas    []Campaign         `json:"replicas,omitempty"` // campaigns of several engines on one store
	FreshSeed   uint64             `json:"fresh_seed,omitempty"`
	PerSecond   int64              `json:"events_per_second,omitempty"`
	Goals       []Goal             `json:"goals,omitempty"`
	MustMeet    bool               `json:"must_meet_goals"` // the campaigns are large enough
	Invariants  []string           `json:"invariants"`
	Failure     *Failure           `json:"failure,omitempty"`
	Unstable    *campaign.Unstable `json:"unstable,omitempty"`
	options     Options
	started     time.Time
	inCampaigns time.Duration
	events      int64
	runs        int64
	found       *check.Failure // what Failure reports, unless replicas failed
}

// Result says how a check ended.
type Result string

// The results.
const (
	ResultPassed      Result = "passed"
	ResultBroken      Result = "broken"   // an invariant is broken
	ResultUnstable    Result = "unstable" // a run differed the second time
	ResultUnmet       Result = "unmet"    // a coverage goal was never met
	ResultInterrupted Result = "interrupted"
)

// Sequences reports the search through all sequences of events.
type Sequences struct {
	Depth     int   `json:"depth"`
	Sequences int64 `json:"sequences"`
	Events    int64 `json:"events"`
	Done      bool  `json:"done"`
}

// Closure reports the exhaustive closure.
type Closure struct {
	States      int   `json:"states"`
	Transitions int64 `json:"transitions"`
	Rounds      int   `json:"rounds"`
	Closed      bool  `json:"closed"`
}

// Campaign reports one campaign.
type Campaign struct {
	Runs       int64    `json:"runs"`
	FirstSeed  uint64   `json:"first_seed"`
	LastSeed   uint64   `json:"last_seed"`
	Events     int64    `json:"events"`
	Hash       string   `json:"trace_hash"`
	Met        int      `json:"goals_met"`
	Unmet      []string `json:"goals_unmet,omitempty"`
	Invariants []string `json:"invariants,omitempty"` // of replicas
}

// Goal reports a coverage goal.
type Goal struct {
	Sentence string `json:"goal"`
	Met      uint64 `json:"met"`
}

// Failure reports a broken invariant.
type Failure struct {
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
	Unwritten []string `json:"not_written,omitempty"` // why a file is missing
	Source    string   `json:"go_test,omitempty"`     // of a Go test that is in no file
	Replay    string   `json:"replay,omitempty"`
	Reproduce string   `json:"reproduce"`
}

// New returns an empty report of a check that starts now.
func New(o Options) *Report {
	r := &Report{Bug: o.Bug, Workers: o.Workers, options: o, started: time.Now(), System: "the rules (package rotation)"}
	switch {
	case o.Bug != "":
		r.System = fmt.Sprintf("the bug %s: %s", o.Bug, o.Sentence)
	case o.System == "engine":
		r.System = "the engine (package rotation/engine) over the store in memory"
	case o.System == "timers":
		r.System = "the rules (package rotation) on hosts that use package rotation/timers"
	}
	r.Invariants = names(check.Invariants())
	return r
}

func names[I fmt.Stringer](all []I) (names []string) {
	for _, i := range all {
		names = append(names, i.String())
	}
	return names
}

// Open reports whether nothing has been found yet, so that the check continues.
func (r *Report) Open() bool { return r.found == nil && r.Failure == nil && r.Unstable == nil }

// AddSequences adds the search through all sequences of a depth.
func (r *Report) AddSequences(depth int, s check.SequencesResult) {
	r.Sequences = &Sequences{depth, s.Sequences, s.Events, s.Done}
	r.found = s.Failure
}

// AddClosure adds a closure.
func (r *Report) AddClosure(c check.ClosureResult) {
	r.Closure = &Closure{c.States, c.Transitions, c.Rounds, c.Closed}
	r.found = c.Failure
}

// AddCampaign adds a campaign that simulated hosts.
func (r *Report) AddCampaign(k campaign.Result[check.Failure]) {
	r.Campaigns = append(r.Campaigns, addCampaign(r, k))
	r.runs += k.Runs
	r.found = k.Failure
	for i, g := range k.Coverage {
		if i == len(r.Goals) {
			r.Goals = append(r.Goals, Goal{Sentence: g.Sentence})
		}
		r.Goals[i].Met += g.Met
	}
}

// AddReplicas adds a campaign that simulated replicas of the engine.
func (r *Report) AddReplicas(k campaign.Result[enginecheck.Failure]) {
	x := addCampaign(r, k)
	x.Invariants = names(enginecheck.Invariants())
	// A later campaign with a fresh seed may leave out goals that the first met.
	if len(r.Replicas) == 0 && r.Bug == "" && k.Runs >= r.options.MinReplicas {
		for _, sentence := range x.Unmet {
			r.Goals = append(r.Goals, Goal{Sentence: sentence})
		}
	}
	r.Replicas = append(r.Replicas, x)
	if f := k.Failure; f != nil {
		r.Failure = &Failure{
			Invariant: f.Invariant.String(), Rule: f.Invariant.Rule(), Sentence: f.Invariant.Sentence(), Paragraph: f.Detail,
			Seed: f.Seed, Options: f.Options, Found: f.Found, Events: f.Steps, NeedsHost: true, Journal: f.Journal,
			Reproduce: r.reproduce(f.Seed),
		}
	}
}

func addCampaign[F any](r *Report, k campaign.Result[F]) Campaign {
	r.events += k.Events
	r.inCampaigns += k.Elapsed
	r.Unstable = k.Unstable
	x := Campaign{Runs: k.Runs, FirstSeed: k.FirstSeed, LastSeed: k.LastSeed, Events: k.Events, Hash: fmt.Sprintf("%016x", k.Hash)}
	for _, g := range k.Unmet() {
		x.Unmet = append(x.Unmet, g.Sentence)
	}
	x.Met = len(k.Coverage) - len(x.Unmet)
	return x
}

// unmet returns the coverage goals that were never met.
func (r *Report) unmet() (unmet []string) {
	for _, g := range r.Goals {
		if g.Met == 0 {
			unmet = append(unmet, g.Sentence)
		}
	}
	return unmet
}

// Finish decides the result when all searches have ended, ctx possibly early, and writes
// a failure's files. The report has what could not be written.
func (r *Report) Finish(ctx context.Context) {
	r.Elapsed = math.Round(time.Since(r.started).Seconds()*1000) / 1000
	r.PerSecond = r.perSecond()
	r.MustMeet = r.Bug == "" && r.runs >= r.options.MinRuns
	switch {
	case r.found != nil, r.Failure != nil:
		r.Result = ResultBroken
	case r.Unstable != nil:
		r.Result = ResultUnstable
	case ctx.Err() != nil:
		r.Result = ResultInterrupted
	case r.MustMeet && len(r.unmet()) > 0:
		r.Result = ResultUnmet
	default:
		r.Result = ResultPassed
	}
	if r.found != nil {
		r.writeFiles(r.found)
	}
}

func (r *Report) perSecond() int64 {
	if r.inCampaigns == 0 {
		return 0
	}
	return int64(float64(r.events) / r.inCampaigns.Seconds())
}

// Speed returns the simulated events a second in one line; empty without a
// campaign.
func (r *Report) Speed() string {
	if r.events == 0 {
		return ""
	}
	return fmt.Sprintf("%.1fs, %s events a second with %d workers", r.Elapsed, Grouped(r.perSecond()), r.Workers)
}

// flag returns the flag that selects the system.
func (o Options) flag() string {
	if o.System == "" || o.System == "rules" {
		return ""
	}
	return " --system " + o.System
}

// reproduce returns the command that finds the failure of a seed again; seed 0
// is the exhaustive searches.
func (r *Report) reproduce(seed uint64) string {
	words := "cvvsim check" + r.options.flag()
	if r.Bug != "" {
		words += " --bug " + r.Bug
	}
	if seed != 0 {
		return fmt.Sprintf("%s --seeds %d", words, seed)
	}
	words += " --exhaustive"
	if preset := cmp.Or(r.options.Preset, "ci"); preset != "ci" {
		words += " --preset " + preset
	}
	return words
}

// writeFiles writes the failure's files and fills in Failure.
func (r *Report) writeFiles(f *check.Failure) {
	x := &Failure{
		Invariant: f.Invariant.String(), Rule: f.Invariant.Rule(), Sentence: f.Invariant.Sentence(), Also: names(f.Also),
		Paragraph: f.Paragraph(), Seed: f.Seed, Options: f.Options, Found: f.Found, Events: len(f.Events),
		NeedsHost: f.NeedsHost, Journal: f.Journal, Reproduce: r.reproduce(f.Seed),
	}
	r.Failure = x
	if f.FromState {
		return // a timeline starts with a new card
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
	x.Timeline = string(text)
	if x.File = r.write(name+".timeline", text, err); x.File != "" {
		x.Replay = "cvvsim replay " + x.File
	}
	if !r.options.GoTest || f.NeedsHost {
		return
	}
	source, err := f.GoTest()
	if x.GoTest = r.write(strings.ReplaceAll(name, "-", "_")+"_test.go", source, err); x.GoTest == "" {
		x.Source = string(source)
	}
}

// write writes a file of the failure and returns its path, "" if the report must have
// the content.
func (r *Report) write(name string, content []byte, err error) (path string) {
	path = filepath.Join(r.options.Dir, name)
	if err == nil && r.options.Write != nil {
		if err = r.options.Write(path, content); err == nil {
			return path
		}
	}
	if err != nil {
		r.Failure.Unwritten = append(r.Failure.Unwritten, fmt.Sprintf("%s: %v", name, err))
	}
	return ""
}

// WriteJSON writes the report as one object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
