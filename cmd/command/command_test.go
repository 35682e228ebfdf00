package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"cvvrotation/sim/must"
)

// demo returns a program with a command, a group and what call runs.
func demo(fail error) (p *Program, root *cobra.Command, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	p = &Program{Name: "demo", Help: os.DirFS("testdata"), Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr}
	greet := &cobra.Command{
		Use:  "greet NAME",
		Args: Exactly("a name"),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := fmt.Fprintf(stdout, "hello, %s\n", args[0])
			return err
		},
	}
	greet.Flags().BoolP("loud", "l", false, "")
	root = p.Root(greet, Group("group", &cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error { return fail }}))
	return p, root, stdout, stderr
}

func call(fail error, args ...string) (status int, stdout, stderr string) {
	p, root, out, errs := demo(fail)
	status = p.Execute(context.Background(), root, args)
	return status, out.String(), errs.String()
}

func TestExecute_RefusesBadUsageWithHint(t *testing.T) {
	for args, want := range map[string]string{
		"":                  "error: a command is needed\nhint: run demo --help for the list of commands\n",
		"gret":              "error: unknown command \"gret\"\nhint: run demo --help for the list of commands\n",
		"help gret":         "error: unknown command \"gret\"\nhint: run demo --help for the list of commands\n",
		"greet":             "error: demo greet: a name is needed\nhint: run demo greet --help\n",
		"greet a b":         "error: demo greet: unexpected argument \"b\"\nhint: run demo greet --help\n",
		"greet --lod a":     "error: unknown flag: --lod\nhint: run demo greet --help for the flags\n",
		"group":             "error: demo group: a command is needed\nhint: run demo group --help for the list\n",
		"group fial --loud": "error: demo group: unknown command \"fial\"\nhint: run demo group --help for the list\n",
		"completion":        "error: one shell is needed: bash, zsh, fish, powershell\nhint: demo completion bash\n",
		"completion tcsh":   "error: one shell is needed: bash, zsh, fish, powershell\nhint: demo completion bash\n",
	} {
		t.Run(args, func(t *testing.T) {
			status, stdout, stderr := call(nil, strings.Fields(args)...)
			if status != ExitUsage || stdout != "" || stderr != want {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, nothing, %q", status, stdout, stderr, ExitUsage, want)
			}
		})
	}
}

func TestExecute_PrintsErrorAndReturnsItsStatus(t *testing.T) {
	cause := errors.New("cause")
	for name, row := range map[string]struct {
		err    error
		status int
		want   string
	}{
		"none":              {nil, ExitDone, ""},
		"plain":             {cause, ExitFailed, "error: cause\n"},
		"joined":            {errors.Join(cause, errors.New("other")), ExitFailed, "error: cause\nerror: other\n"},
		"with a hint":       {Hint(cause, "do this"), ExitFailed, "error: cause\nhint: do this\n"},
		"the inner hint":    {Hint(fmt.Errorf("outer: %w", Hint(cause, "inner")), "outer"), ExitFailed, "error: outer: cause\nhint: inner\n"},
		"bad usage":         {Usage(cause), ExitUsage, "error: cause\n"},
		"wrapped bad usage": {fmt.Errorf("x: %w", Refuse("do this", "y: %w", cause)), ExitUsage, "error: x: y: cause\nhint: do this\n"},
		"already printed":   {fmt.Errorf("x: %w", Status(7)), 7, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, stderr := call(row.err, "group", "fail"); status != row.status || stderr != row.want {
				t.Errorf("status %d, stderr %q; want %d, %q", status, stderr, row.status, row.want)
			}
		})
	}
	if !errors.Is(Refuse("", "%w", cause), cause) || !IsUsage(Usage(cause)) || IsUsage(cause) {
		t.Error("marks hide the error, or are not found")
	}
}

func TestExecute_FailureIsTheProgramsStatus(t *testing.T) {
	p, root, _, _ := demo(errors.New("cause"))
	p.Failure = 5
	if status := p.Execute(context.Background(), root, []string{"group", "fail"}); status != 5 {
		t.Errorf("status %d, want 5", status)
	}
}

func TestHelp_GoesToStandardOutput(t *testing.T) {
	want := must.Get(os.ReadFile("testdata/help/group_fail.txt"))(t)
	for _, args := range []string{"group fail --help", "group fail -h", "help group fail"} {
		t.Run(args, func(t *testing.T) {
			if status, stdout, stderr := call(nil, strings.Fields(args)...); status != ExitDone || stdout != string(want) || stderr != "" {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
		})
	}
}

type fullDisk struct{ error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.error }

func TestExecute_FullDiskIsAnError(t *testing.T) {
	for _, args := range []string{"help", "--help", "greet --help", "help group", "--version", "completion zsh", "greet you"} {
		t.Run(args, func(t *testing.T) {
			p, _, _, stderr := demo(nil)
			p.Stdout = fullDisk{errors.New("disk full")}
			greet := &cobra.Command{Use: "greet", RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprintln(p.Stdout, "hello")
				return err
			}}
			root := p.Root(greet, Group("group"))
			if status := p.Execute(t.Context(), root, strings.Fields(args)); status != ExitFailed || stderr.String() != "error: disk full\n" {
				t.Errorf("status %d, stderr %q", status, stderr)
			}
		})
	}
}

func TestCompletion_PrintsScriptForEachShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		t.Run(shell, func(t *testing.T) {
			if status, stdout, stderr := call(nil, "completion", shell); status != ExitDone || !strings.Contains(stdout, "demo") || stderr != "" {
				t.Errorf("status %d, stderr %q, stdout %q", status, stderr, stdout)
			}
		})
	}
	if _, stdout, _ := call(nil, "__complete", "help", ""); !strings.Contains(stdout, "greet\n") {
		t.Errorf("help does not complete commands: %q", stdout)
	}
}

func TestCheckHelp_FindsWhatHelpLacks(t *testing.T) {
	run := func(args ...string) (int, string, string) { return call(nil, args...) }
	_, root, _, _ := demo(nil)
	must.Do(t, CheckHelp(root, run))
	for name, row := range map[string]struct {
		add  func(greet *cobra.Command)
		want string
	}{
		"a flag":      {func(greet *cobra.Command) { greet.Flags().Bool("new", false, "") }, "demo greet --help: lacks --new"},
		"a shorthand": {func(greet *cobra.Command) { greet.Flags().Lookup("loud").Shorthand = "x" }, "demo greet --help: lacks -x"},
		"a command":   {func(greet *cobra.Command) { greet.AddCommand(&cobra.Command{Use: "sub"}) }, "demo greet --help: lacks the command sub"},
		"no such flag": {func(greet *cobra.Command) {
			greet.ResetFlags()
			greet.InitDefaultHelpFlag()
		}, "demo greet --help: no command has --loud"},
	} {
		t.Run(name, func(t *testing.T) {
			_, root, _, _ := demo(nil)
			greet, _, _ := root.Find([]string{"greet"})
			row.add(greet)
			if err := CheckHelp(root, run); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
	wrong := func(args ...string) (int, string, string) { return 1, strings.Repeat("x", 81), "warning" }
	err := CheckHelp(root, wrong)
	for _, want := range []string{"status 1, stderr \"warning\"", "a line over 80 columns", "no line says how to call it"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestVersion_IsNeverEmpty(t *testing.T) {
	if Version() == "" {
		t.Error("no version")
	}
}

// A program with one command.
func Example() {
	p := Program{Name: "demo", Help: os.DirFS("testdata"), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stdout}
	greet := &cobra.Command{
		Use:  "greet NAME",
		Args: Exactly("a name"),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := fmt.Fprintf(p.Stdout, "hello, %s\n", args[0])
			return err
		},
	}
	fmt.Println(p.Execute(context.Background(), p.Root(greet), []string{"greet", "Ada"}))
	fmt.Println(p.Execute(context.Background(), p.Root(greet), []string{"greet"}))
	// Output:
	// hello, Ada
	// 0
	// error: demo greet: a name is needed
	// hint: run demo greet --help
	// 2
}
