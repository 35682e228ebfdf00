package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"cvvd": main})
}

// cleaning removes the binary that tests have built.
type cleaning struct{ m *testing.M }

func (c cleaning) Run() int {
	defer func() { os.RemoveAll(binaryDir) }()
	return c.m.Run()
}

// TestScripts runs the command as its users do; each script tells what it shows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

// call runs the command in this process.
func call(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// TestHelp finds commands and flags that the hand-written help does not know,
// and flags that it knows and the command does not.
func TestHelp(t *testing.T) {
	root := (&cli{strings.NewReader(""), io.Discard, io.Discard, nil}).command()
	top := helpText(root)
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		status, out, errs := call(append(path, "--help")...)
		name := strings.Join(path, " ")
		if status != exitDone || errs != "" || strings.Contains(out, "Global Flags") {
			t.Fatalf("%s --help: status %d, %q, %q", name, status, out, errs)
		}
		if _, again, _ := call(append([]string{"help"}, path...)...); again != out {
			t.Errorf("help %s differs from %s --help", name, name)
		}
		if !strings.Contains(out, "cvvd "+name) {
			t.Errorf("%s --help does not show how to use it", name)
		}
		known := map[string]bool{"--config": true, "--dev": true, "--print-defaults": true} // in examples
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			known["--"+f.Name] = true
			if f.Name != "help" && !strings.Contains(out, "--"+f.Name+" ") {
				t.Errorf("%s --help does not tell of --%s", name, f.Name)
			}
			if f.Shorthand != "" && f.Name != "help" && !strings.Contains(out, "-"+f.Shorthand+", --"+f.Name) {
				t.Errorf("%s --help does not tell of -%s", name, f.Shorthand)
			}
		})
		for _, word := range strings.FieldsFunc(out, func(r rune) bool { return !strings.ContainsRune("-abcdefghijklmnopqrstuvwxyz", r) }) {
			if strings.HasPrefix(word, "--") && word != "--" && !known[word] && !cmd.HasSubCommands() {
				t.Errorf("%s --help tells of %s, which is no flag", name, word)
			}
		}
		for line := range strings.SplitSeq(out, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("%s --help: a line of %d columns: %s", name, len([]rune(line)), line)
			}
		}
		for _, sub := range cmd.Commands() {
			if !strings.Contains(out, "\n  "+sub.Name()+" ") {
				t.Errorf("%s --help does not tell of %s", name, sub.Name())
			}
			visit(sub, append(path, sub.Name()))
		}
	}
	for _, cmd := range root.Commands() {
		if !strings.Contains(top, "\n  "+cmd.Name()+" ") {
			t.Errorf("--help does not tell of %s", cmd.Name())
		}
		if cmd.Name() != "help" {
			visit(cmd, []string{cmd.Name()})
		}
	}
}

// TestLogDurations: they can be read without counting digits, in both formats.
func TestLogDurations(t *testing.T) {
	for format, want := range map[string]string{"json": `"in":"1.5s"`, "text": "in=1.5s"} {
		var b bytes.Buffer
		cfg := config.Default()
		cfg.Log.Format = format
		(&cli{stderr: &b}).logger(&cfg).Info("x", "in", 1500*time.Millisecond)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: no %s in %s", format, want, &b)
		}
	}
}
