package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteText writes the report for a person. It does not depend on the time, or on
// the number of workers.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, row := range r.overview() {
		fmt.Fprintf(&b, "%-11s %s\n", row[0], row[1])
	}
	fmt.Fprintln(&b)
	switch {
	case r.Failure == nil:
		fmt.Fprintln(&b, r.conclusion())
	case r.found == nil:
		r.replicasFailure(&b)
	default:
		r.cardFailure(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// overview returns what was done, a name and its value in each row.
func (r *Report) overview() (rows [][2]string) {
	row := func(what, format string, args ...any) {
		rows = append(rows, [2]string{what, fmt.Sprintf(format, args...)})
	}
	row("system", "%s", r.System)
	// How far an unfinished search got depends on the workers.
	cut := choose(r.Result == ResultInterrupted, "interrupted", "ended by a failure")
	if s := r.Sequences; s != nil && s.Done {
		row("sequences", "%s of %d events each, all of them tried", Grouped(s.Sequences), s.Depth)
	} else if s != nil {
		row("sequences", "of %d events each, %s", s.Depth, cut)
	}
	if c := r.Closure; c != nil && c.Closed {
		row("closure", "%s states, %s transitions, closed after %d rounds", Grouped(int64(c.States)), Grouped(c.Transitions), c.Rounds)
	} else if c != nil {
		row("closure", "not closed, %s", cut)
	}
	failed := r.Result == ResultBroken || r.Result == ResultUnstable
	for i, k := range r.Campaigns {
		r.campaignRow(row, choose(i == 0, "campaign", "fresh"), k, failed, "")
	}
	for i, k := range r.Replicas {
		r.campaignRow(row, choose(i == 0, "replicas", "fresh"), k, failed && i == len(r.Replicas)-1, fmt.Sprintf("; %d invariants held", len(k.Invariants)))
	}
	if r.Failure == nil && (len(r.Campaigns) > 0 || r.Sequences != nil) {
		row("invariants", "%d, all of them held", len(r.Invariants))
	}
	if len(r.Goals) == 0 || failed {
		return rows
	}
	all, unmet := len(r.Goals), len(r.unmet())
	if unmet > 0 && !r.MustMeet {
		row("coverage", "%d of %d goals met; too few runs to ask for all", all-unmet, all)
		return rows
	}
	rarest := slices.MinFunc(r.Goals, func(a, b Goal) int { return int(min(a.Met, 1<<30)) - int(min(b.Met, 1<<30)) })
	row("coverage", "%d of %d goals met; the rarest, %s times: %s", all-unmet, all, Grouped(int64(rarest.Met)), rarest.Sentence)
	return rows
}

func (r *Report) campaignRow(row func(what, format string, args ...any), what string, k Campaign, failed bool, held string) {
	if failed {
		row(what, "seeds from %d on, ended by a failure", k.FirstSeed)
		return
	}
	goals := ""
	if held != "" {
		goals = fmt.Sprintf(" %d goals met,", k.Met)
	}
	row(what, "%s runs (seeds %d-%d), %s events,%s trace hash %s%s",
		Grouped(k.Runs), k.FirstSeed, k.LastSeed, Grouped(k.Events), goals, k.Hash, held)
}

// conclusion says how the check ended, unless an invariant is broken.
func (r *Report) conclusion() string {
	switch r.Result {
	case ResultPassed:
		return choose(r.Bug == "", "passed", "not found: nothing that was tried shows the bug")
	case ResultInterrupted:
		return "interrupted: everything that was tried held"
	case ResultUnmet:
		return "FAILED: the campaign never met these coverage goals:\n  " + strings.Join(r.unmet(), "\n  ") +
			"\nIt shows nothing about them. Widen what is drawn for a run, or run more seeds."
	case ResultUnstable:
		u := r.Unstable
		return fmt.Sprintf("FAILED: not deterministic. Seed %d gave the trace hash %016x and, run again, %016x.\n"+
			"\n  options    %s\n  reproduce  cvvsim check%s --doublecheck --seeds %d",
			u.Seed, u.First, u.Second, u.Options, r.options.flag(), u.Seed)
	}
	return string(r.Result)
}

// cardFailure prints what one card's events break.
func (r *Report) cardFailure(w io.Writer) {
	x := r.Failure
	fmt.Fprintf(w, "FAILED: the invariant %s is broken", x.Invariant)
	if x.Seed != 0 {
		fmt.Fprintf(w, ", in the run of seed %d at its card's event %d", x.Seed, x.Found)
	}
	fmt.Fprint(w, ".\n\n")
	indented(w, wrapped(x.Paragraph, 78))
	if len(x.Also) > 0 {
		fmt.Fprintf(w, "\n  The same event also breaks: %s.\n", strings.Join(x.Also, ", "))
	}
	if r.found.FromState {
		fmt.Fprintf(w, "\n  reproduce  %s\n", x.Reproduce)
		return
	}
	lines := x.Journal
	if !x.NeedsHost {
		lines = slices.DeleteFunc(strings.Split(strings.TrimSpace(x.Timeline), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "# Here") && !strings.HasPrefix(l, "# Of") && !strings.HasPrefix(l, "# A poll")
		})
	}
	fmt.Fprintln(w, choose(x.NeedsHost, "\nWhat happened to this card:\n", "\nThe events, shrunk; after => what the rules say:\n"))
	indented(w, lastLines(lines, 24, choose(x.File != "", ", in the file", ", in the timeline below")))
	fmt.Fprintln(w)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-10s %s\n", name, value)
		}
	}
	row("written to", x.File)
	row("Go test", x.GoTest)
	for _, why := range x.Unwritten {
		row("unwritten", why)
	}
	row("replay", x.Replay)
	if x.File != "" {
		_, _, differing := replay(x.Timeline)
		row("verify", fmt.Sprintf("cvvsim verify %s   (package rotation: %s)", x.File, choose(differing == 0, "no difference", fmt.Sprint(differing, " differing"))))
	}
	row("reproduce", x.Reproduce)
	row("options", x.Options)
	if x.File == "" {
		fmt.Fprintf(w, "\nThe timeline:\n\n%s", x.Timeline)
	}
	if x.Source != "" {
		fmt.Fprintf(w, "\nThe Go test:\n\n%s", x.Source)
	}
}

// replicasFailure prints what a campaign of replicas found.
func (r *Report) replicasFailure(w io.Writer) {
	x := r.Failure
	fmt.Fprintf(w, "FAILED: the invariant %s is broken, in the run of seed %d at step %d.\n\n", x.Invariant, x.Seed, x.Found)
	indented(w, wrapped(x.Sentence, 78))
	fmt.Fprintf(w, "\nWhat happened, shrunk to %d of the run's steps:\n\n", x.Events)
	indented(w, lastLines(x.Journal, 40, ""))
	fmt.Fprintf(w, "\n  reproduce  %s\n  options    %s\n", x.Reproduce, x.Options)
}

func indented(w io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// lastLines returns up to most lines from the end, and a line that counts the rest.
func lastLines(lines []string, most int, where string) []string {
	if len(lines) <= most {
		return lines
	}
	rest := len(lines) - most
	return append([]string{fmt.Sprintf("… %d more before%s", rest, where)}, lines[rest:]...)
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// Grouped returns n with a comma between groups of three digits.
func Grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// wrapped breaks text into lines of at most width bytes, where words allow.
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
