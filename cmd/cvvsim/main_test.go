package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rogpeppe/go-internal/testscript"

	"cvvrotation/cmd/command"
	"cvvrotation/internal/must"
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
	f.Fuzz(func(t *testing.T, source string) {
		status, out, errs := call(source, "replay", "-o", "jsonl")
		if status != exitDone && (status != exitBadInput || !strings.Contains(errs, "error: <stdin>:")) {
			t.Fatalf("status %d, stderr %q", status, errs)
		}
		if status, said, errs := call(out, "verify", "-"); status != exitDone {
			t.Fatalf("status %d verifying what replay printed: %s%s\n%s", status, said, errs, out)
		}
		call(source, "replay", "-o", "text")
		call(source, "replay", "-o", "svg")
	})
}
