package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestCheck_RefusesBadUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"card.timeline", "check takes no files"},
		{"--seeds 5-1", "seeds count from 1"},
		{"--seeds 0-9", "seeds count from 1"},
		{"--seeds -3", "seeds count from 1"},
		{"--seeds 1-2-3", "seeds count from 1"},
		{"--seeds 1-99999999999999999999", "seeds count from 1"},
		{"--seeds=", "seeds count from 1"},
		{"--for 0s", "a positive duration"},
		{"--for -1m", "a positive duration"},
		{"--for soon", "invalid argument"},
		{"--workers 0", "at least 1"},
		{"--workers x", "invalid argument"},
		{"--preset weekly", "one of ci, nightly is needed"},
		{"--bug no-such-bug", `no bug is named "no-such-bug"`},
		{"--bug=", `no bug is named ""`},
		{"--bug drift --fresh", "exclude each other"},
		{"--bug host-drops-early --exhaustive", "only a campaign simulates one"},
		{"--system database", "one of rules, engine is needed"},
		{"--bug tries-reset", "tries-reset is a bug of the engine"},
		{"--system engine --bug drift", `no bug of the engine is named "drift"`},
		{"--system engine --bug tries-reset --exhaustive", "found by the campaign of replicas alone"},
		{"--system engine --bug tries-reset --fresh", "exclude each other"},
		{"-o pdf", "one of text, json, html is needed"},
		{"--out no/such/directory", "not a directory"},
		{"--out=", "needs a directory"},
		{"--list-bugs --list-invariants", "one list at a time"},
		{"--no-such-flag", "unknown flag"},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, out, errs := call("", append([]string{"check"}, strings.Fields(test.args)...)...)
			if status != exitBadInput || out != "" || !strings.Contains(errs, test.want) || !strings.Contains(errs, "\nhint: ") {
				t.Errorf("status %d, stdout %q, stderr %q; want %q and a hint", status, out, errs, test.want)
			}
		})
	}
}

func TestCheck_InterruptedIsNoSuccess(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"check", "--seeds", "1-100000"}, strings.NewReader(""), &out, &errs)
	if status != exitInterrupted || !strings.Contains(out.String(), "\ninterrupted") || strings.Contains(out.String(), "campaign") {
		t.Errorf("status %d: %s%s", status, out.String(), errs.String())
	}
}

// What is printed does not depend on the number of workers, a failure included.
func TestCheck_OutputDoesNotDependOnWorkers(t *testing.T) {
	want := ""
	for _, workers := range []string{"1", "2", "3"} {
		status, out, _ := call("", "check", "--bug", "missed-lost-by-guard", "--workers", workers, "--out", t.TempDir())
		out, _, _ = strings.Cut(out, "written to")
		if want == "" {
			want = out
		}
		t.Run(workers, func(t *testing.T) {
			if status != exitDifference || out != want {
				t.Errorf("status %d\n%s\nwant\n%s", status, out, want)
			}
		})
	}
}
