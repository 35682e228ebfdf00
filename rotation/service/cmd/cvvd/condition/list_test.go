package condition

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/sim/must"
)

var update = flag.Bool("update", false, "write the runbook's sections to docs/operating.md")

const manual = "../../../../../docs/operating.md"

// The runbook's sections are those of the list.
func TestList_IsRunbook(t *testing.T) {
	var b strings.Builder
	for _, c := range List {
		ready := ""
		if c.NotReady {
			ready = ", `/readyz` is 503"
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s%s: `%s`\n\n%s\n\n%s\n", c.Name, c.Severity, ready, strings.Join(c.Alerts, "`, `"), c.Sentence, c.Action)
	}
	text := string(must.Get(os.ReadFile(manual))(t))
	begin := strings.Index(text, "\n### ") // to the next chapter
	length := strings.Index(text[max(begin, 0):], "\n## ")
	if begin < 0 || length < 0 {
		t.Fatal("no place for the conditions")
	}
	got := text[begin : begin+length]
	if *update {
		must.Do(t, os.WriteFile(manual, []byte(text[:begin]+b.String()+text[begin+length:]), 0o644))
		return
	}
	if diff := cmp.Diff(b.String(), got); diff != "" {
		t.Errorf("docs/operating.md (go test -update writes it): %s", diff)
	}
}

// Each alert belongs to one condition, each condition has alerts, and its severity is the
// highest of theirs.
func TestList_HasAlerts(t *testing.T) {
	text := string(must.Get(os.ReadFile("../deploy/alerts.yaml"))(t))
	severities := map[string][]Severity{} // by condition
	for _, m := range regexp.MustCompile(`(?s)alert: (\w+).*?severity: (\w+)`).FindAllStringSubmatch(text, -1) {
		var of []string
		for _, c := range List {
			if slices.Contains(c.Alerts, m[1]) {
				of = append(of, c.Name)
				severities[c.Name] = append(severities[c.Name], Severity(m[2]))
			}
		}
		if len(of) != 1 {
			t.Errorf("the alert %s belongs to the conditions %v, want one", m[1], of)
		}
	}
	for _, c := range List {
		t.Run(c.Name, func(t *testing.T) {
			got := severities[c.Name]
			if len(got) != len(c.Alerts) || len(got) == 0 {
				t.Errorf("%d alerts in alerts.yaml, want %v", len(got), c.Alerts)
			}
			want := Ticket
			if slices.Contains(got, Page) {
				want = Page
			}
			if c.Severity != want {
				t.Errorf("severity %s, and that of its alerts is %s", c.Severity, want)
			}
		})
	}
	for _, m := range regexp.MustCompile(`cvv_condition\{name="(\w+)"`).FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(List, func(c *Condition) bool { return c.Name == m[1] }) {
			t.Errorf("alerts.yaml names the condition %s, which does not exist", m[1])
		}
	}
}

func TestList_Names(t *testing.T) {
	var names []string
	for _, c := range List {
		if !regexp.MustCompile(`^[a-z_]+$`).MatchString(c.Name) || slices.Contains(names, c.Name) {
			t.Errorf("the name %q is malformed or a duplicate", c.Name)
		}
		names = append(names, c.Name)
		for _, s := range []string{c.Sentence, c.Action} {
			if !strings.HasSuffix(s, ".") || strings.Count(s, "`")%2 != 0 {
				t.Errorf("%s: no sentence: %q", c.Name, s)
			}
		}
	}
}
