package check

import (
	"context"
	"cvvrotation/internal/must"
	"cvvrotation/sim/check/campaign"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShrink_GuardInclusiveToTwoEvents(t *testing.T) {
	bug, _ := FindBug("guard-inclusive")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	text := must.Get(f.Timeline())(t)
	want := `2026-11-22T15:00:00Z  A  set_interval interval=24h  => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-23T15:00:00Z
2026-11-22T15:02:00Z  A  forced        => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-23T15:02:00Z
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestGoTest_PassesWithTheRightRules(t *testing.T) {
	bug, _ := FindBug("held-auto-stays")
	f := Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 100}).Failure
	b := must.Get(f.GoTest())(t)
	source := string(b)
	for _, want := range []string{"func TestFoundNextAhead(t *testing.T)", "rotation.SetInterval(at(", `"R8 interval_set"`} {
		if !strings.Contains(source, want) {
			t.Errorf("no %s in\n%s", want, source)
		}
	}
	if testing.Short() {
		t.Skip("runs the go command: leave out -short to run it")
	}
	dir := t.TempDir()
	found, overlay := filepath.Join(dir, "found_test.go"), filepath.Join(dir, "overlay.json")
	must.Do(t, os.WriteFile(found, b, 0o644))
	place := must.Get(filepath.Abs("../../rotation/found_test.go"))(t)
	must.Do(t, os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, place, found), 0o644))
	out, err := exec.Command("go", "test", "-v", "-overlay", overlay, "-run", "TestFoundNextAhead", "cvvrotation/rotation").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFoundNextAhead") {
		t.Errorf("the test does not pass: %v\n%s\n%s", err, out, source)
	}
}
