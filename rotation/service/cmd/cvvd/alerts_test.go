package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/internal/must"
)

func TestAlerts_UseExistingMetricsAndAreDocumented(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), "serve").serving()
	auth := token(t, "cards:register cvv:rotate")
	p.send("PUT", p.pci+"/v1/cards/a", auth, "")
	p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, "")
	_, metrics := p.get(p.ops + "/metrics")
	for _, file := range []string{"deploy/alerts.yaml", "../../../../docs/operating.md"} {
		text := must.Get(os.ReadFile(file))(t)
		names := regexp.MustCompile(`\bcvv_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("%s names %s, which the daemon does not export", file, name)
			}
		}
	}
	// The manual documents each alert, in the same order, and no other.
	alerts, _ := os.ReadFile("deploy/alerts.yaml")
	manual, _ := os.ReadFile("../../../../docs/operating.md")
	var defined, explained []string
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		defined = append(defined, m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(CVV\\w+)`").FindAllStringSubmatch(string(manual), -1) {
		explained = append(explained, m[1])
	}
	if diff := cmp.Diff(defined, explained); diff != "" {
		t.Errorf("alerts.yaml against operating.md: %s", diff)
	}
}
