package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rogpeppe/go-internal/testscript"

	"cvvrotation/cmd/command"
	"cvvrotation/sim/must"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cvvsim": main})
}

// TestScripts runs the command as its users do; each script tells what it shows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

// call runs the command in this process.
func call(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// TestHelp_MatchesCommandsAndFlags compares the hand-written help with the commands.
func TestHelp_MatchesCommandsAndFlags(t *testing.T) {
	root := newCLI(strings.NewReader(""), io.Discard, io.Discard).root()
	err := command.CheckHelp(root, func(args ...string) (int, string, string) { return call("", args...) })
	if err != nil {
		t.Error(err)
	}
}

// A reader or writer that breaks is an error, never a short success.
func TestCommands_BrokenOutputIsAnError(t *testing.T) {
	var errs bytes.Buffer
	in := iotest.TimeoutReader(strings.NewReader(strings.Repeat("# a comment\n", 100_000)))
	if status := run(context.Background(), []string{"replay"}, in, io.Discard, &errs); status != exitBadInput {
		t.Errorf("status %d on input that breaks off, want %d", status, exitBadInput)
	}
	for _, output := range outputs {
		in := strings.NewReader("2026-11-22T15:00:00Z A forced\n")
		if status := run(context.Background(), []string{"replay", "-o", string(output)}, in, fullDisk{}, &errs); status != exitBadInput {
			t.Errorf("-o %s: status %d on a full disk, want %d", output, status, exitBadInput)
		}
	}
	if !strings.Contains(errs.String(), "disk full") {
		t.Errorf("stderr %q does not say why", errs.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// FuzzReplay looks for input that panics, and for output that is not a timeline
// which fulfils its own expectations.
func FuzzReplay(f *testing.F) {
	for _, name := range []string{"three-pm", "scenario-2", "step-back", "interval"} {
		source := must.Get(os.ReadFile("../../sim/scenarios/" + name + ".timeline"))(f)
		f.Add(string(source))
	}
	f.Add(`{"timeline":1,"rules":{"guard":"0s"}}` + "\n" + `{"at":"2200-12-31T23:59:59Z","card":"A","event":"set_interval","interval":"87600h"}`)
	f.Add("at,card,event\n1785542496,A,forced\n")
	f.Add("[\n{\n" + `"at":"2026-11-22T15:00:00Z","card":"A","event":"forced"}]`)
	f.Fuzz(func(t *testing.T, source string) {
		status, out, errs := call(source, "replay", "-o", "jsonl")
		if status != exitDone && (status != exitBadInput || !strings.Contains(errs, "error: <stdin>:")) {
			t.Fatalf("status %d, stderr %q", status, errs)
		}
		if status, said, errs := call(out, "verify", "--allow-unjudged", "-"); status != exitDone {
			t.Fatalf("status %d verifying what replay printed: %s%s\n%s", status, said, errs, out)
		}
		call(source, "replay", "-o", "text")
		call(source, "replay", "-o", "svg")
	})
}

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
		{"--system database", "one of rules, engine, timers is needed"},
		{"--bug tries-reset", "tries-reset is a bug of the engine"},
		{"--system engine --bug drift", `no bug of the engine is named "drift"`},
		{"--system engine --bug tries-reset --exhaustive", "found by the campaign of replicas alone"},
		{"--system engine --bug tries-reset --fresh", "exclude each other"},
		{"--system timers --exhaustive", "only the campaign has timers"},
		{"-o pdf", "one of text, json, html is needed"},
		{"--out no/such/directory", "not a directory"},
		{"--out=", "needs a directory"},
		{"--list-bugs --list-invariants", "--list-bugs and --list-invariants exclude each other"},
		{"--list-goals --verbose", "--list-goals and --verbose exclude each other"},
		{"--list-invariants --seeds 1", "--list-invariants and --seeds exclude each other"},
		{"--list-bugs -o json", "--list-bugs and --output exclude each other"},
		{"--list-goals --system database", "one of rules, engine, timers is needed"},
		{"--list-bugs --system timers", "no bug of the timers is known"},
		{"--preset nightly --seeds 1-5", "--preset and --seeds exclude each other without --exhaustive"},
		{"--exhaustive --doublecheck", "--exhaustive draws no runs"},
		{"--exhaustive -v", "--exhaustive draws no runs"},
		{"--bug host-drops-early --seeds 1 --exhaustive", "only a campaign simulates one"},
		{"--system engine --bug tries-reset --out .", "no timeline and no Go test"},
		{"--system engine --bug tries-reset --go-test", "no timeline and no Go test"},
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

// Standard output that cannot be written does not hide a finding.
func TestCheck_FullDiskKeepsFinding(t *testing.T) {
	var errs bytes.Buffer
	status := run(context.Background(), []string{"check", "--bug", "drift", "--out", t.TempDir()}, strings.NewReader(""), fullDisk{}, &errs)
	want := "error: disk full\nerror: the invariant phase-kept is broken\nhint: cvvsim check --bug drift --seeds 1\n"
	if status != exitDifference || !strings.Contains(errs.String(), want) {
		t.Errorf("status %d, stderr %q, want %q", status, errs.String(), want)
	}
}

// A forecast that is interrupted says so, prints nothing and leaves no file.
func TestFleet_InterruptLeavesNoPartialFile(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"fleet", "--cards", "10", "--write-timeline", filepath.Join(dir, "x.jsonl")}, strings.NewReader(""), &out, &errs)
	if status != exitBadInput || out.Len() > 0 || errs.String() != "error: interrupted; nothing was written\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out.String(), errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFleet_FullDiskIsAnError(t *testing.T) {
	for _, output := range fleetOutputs {
		var errs bytes.Buffer
		status := run(context.Background(), []string{"fleet", "--cards", "10", "-o", output}, strings.NewReader(""), fullDisk{}, &errs)
		if status != exitBadInput || !strings.Contains(errs.String(), "disk full") {
			t.Errorf("-o %s: status %d, stderr %q on a full disk", output, status, errs.String())
		}
	}
}
