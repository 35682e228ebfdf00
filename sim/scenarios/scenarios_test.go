package scenarios_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/scenarios"
	"cvvrotation/sim/timeline"
)

var update = flag.Bool("update", false, "write the decisions into the scenarios; review the difference")

// TestScenarios_MeetTheirExpectations replays each scenario and holds it against its own expectations,
// which were written by hand from the rules.
func TestScenarios_MeetTheirExpectations(t *testing.T) {
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			outcomes := make(map[int]timeline.Expect)
			expectations := 0
			r := timeline.NewReader(strings.NewReader(s.Source), s.File())
			rules := must.Get(r.Rules())(t)
			replay := sim.NewReplay(rules)
			for {
				e, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				must.Do(t, err)
				step, err := replay.Apply(e)
				if err != nil {
					t.Fatalf("%s:%d: %v", s.File(), e.Line, err)
				}
				outcomes[e.Line] = step.Outcome()
				if e.Expect.Fields != 0 {
					expectations++
				}
				for _, d := range e.Expect.Differences(step.Outcome()) {
					t.Errorf("%s:%d: %s: want %s, got %s", s.File(), e.Line, d.Field, d.Want, d.Got)
				}
			}
			if expectations < 2 {
				t.Errorf("%d events say what is expected of them; a scenario needs at least 2", expectations)
			}
			if *update {
				rewrite(t, s, outcomes)
			}
		})
	}
}

// rewrite puts what was decided in place of what was expected, field by field.
func rewrite(t *testing.T, s scenarios.Scenario, outcomes map[int]timeline.Expect) {
	lines := strings.Split(s.Source, "\n")
	for number, outcome := range outcomes {
		given, expected, ok := strings.Cut(lines[number-1], "=>")
		if !ok {
			continue
		}
		words := strings.Fields(outcome.String())
		for i, field := range strings.Fields(expected) {
			key, _, _ := strings.Cut(field, "=")
			for _, w := range words {
				if strings.HasPrefix(w, key+"=") {
					field = w
				}
			}
			if i == 0 {
				expected = ""
			}
			expected += " " + field
		}
		lines[number-1] = given + "=>" + expected
	}
	must.Do(t, os.WriteFile(s.File(), []byte(strings.Join(lines, "\n")), 0o644))
}

// TestAll_HoldsEveryFile finds a scenario that was added to the folder and not to the
// order of telling, and the other way round.
func TestAll_HoldsEveryFile(t *testing.T) {
	found := must.Get(filepath.Glob("*.timeline"))(t)
	told := make(map[string]bool)
	for _, s := range scenarios.All() {
		told[s.File()] = true
	}
	want := make(map[string]bool)
	for _, f := range found {
		want[f] = true
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("files and scenarios differ (-file +scenario):\n%s", diff)
	}
}

func TestScenarios_OpenWithTitleAndText(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, s := range scenarios.All() {
		if s.Title == "" || s.Text == "" {
			t.Errorf("%s: the opening comment needs a title, an empty line and a text", s.File())
		}
		if !name.MatchString(s.Name) {
			t.Errorf("%s: not a name that a shell takes without quotes", s.Name)
		}
	}
}

func TestFind_ByName(t *testing.T) {
	s, ok := scenarios.Find("scenario-2")
	if !ok || s.Name != "scenario-2" || !strings.HasPrefix(s.Title, "Scenario 2:") {
		t.Errorf(`Find("scenario-2") = %q %q, %v`, s.Name, s.Title, ok)
	}
	if _, ok := scenarios.Find("no-such-scenario"); ok {
		t.Error(`Find("no-such-scenario") found one`)
	}
}
