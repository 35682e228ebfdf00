package powertest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

// childVariable turns the test binary into a program to trace. Its value is a folder.
const childVariable = "POWERTEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := child(dir); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(dir string) error {
	a, err := os.OpenFile(filepath.Join(dir, "a"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_, e1 := a.WriteAt([]byte("synced"), 2)
	e2 := a.Sync()
	_, e3 := os.Stdout.WriteString("told")
	_, e4 := a.WriteAt([]byte("x"), 0)
	e5 := a.Truncate(5)
	e6 := os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600)
	e7 := d.Sync()
	e8 := os.Remove(filepath.Join(dir, "kept"))
	return errors.Join(e1, e2, e3, e4, e5, e6, e7, e8)
}

// The test knows which files a power cut leaves of this real program.
func TestTrace_OfARealProgram(t *testing.T) {
	dir := t.TempDir()
	before := Image{"a": []byte("--------")}
	must.Do(t, before.Write(dir))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	r := must.Get(Trace(t, dir, cmd))(t)
	d := NewDisk(before)
	must.Do(t, d.Play(r, func(moment int) bool { return moment < r.Outputs()[0] }))
	if got := left(d.Cut(KeepNothing, nil)); got != "a=--synced" || d.Output() != "told" {
		t.Errorf("after the output %q there is %q", d.Output(), got)
	}
	d = NewDisk(before)
	must.Do(t, d.Play(r, nil))
	if got := left(d.Cut(KeepNothing, nil)); got != "a=--synced kept=" {
		t.Errorf("the end has at least %q", got)
	}
	if got := left(d.Cut(KeepAll, nil)); got != "a=x-syn" {
		t.Errorf("the end has up to %q", got)
	}
	if string(before["a"]) != "--------" {
		t.Error("Play changed the image")
	}
}

func TestTrace_FailsForCallsThatTheModelLacks(t *testing.T) {
	for _, command := range []string{
		"printf x >$0/a",        // through a copy of the descriptor
		"ln $0/a $0/b",          // two names
		"mv $0/a $0/b",          // another name
		"mkdir $0/b",            // a folder below
		"printf x | dd of=$0/a", // which cuts the file when it opens it
	} {
		dir := t.TempDir()
		must.Do(t, (Image{"a": []byte("12345")}).Write(dir))
		if _, err := Trace(t, dir, exec.Command("/bin/sh", "-c", command, dir)); err == nil {
			t.Errorf("%s: no error", command)
		}
	}
	if _, err := Trace(t, t.TempDir(), exec.Command("/bin/sh", "-c", "echo why; exit 3")); err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("a program that fails: %v", err)
	}
}

func TestParse_RefusesIncompleteLines(t *testing.T) {
	for lines, want := range map[string]string{
		`1 fsync(5) = 0`:                             "",
		`1 +++ exited with 0 +++`:                    "",
		`1 write(1, "\x61" <unfinished ...>`:         "",
		`1 fsync(5) = ?`:                             "",
		`1 pwrite64(5, "\x61"..., 4096, 0) = 1`:      "incomplete call",
		`1 fsync(5`:                                  "incomplete call",
		`1 <... fsync resumed>) = 0`:                 "end of an unknown call",
		"1 fsync(5) = 0\n1 <... fsync resumed>) = 0": "end of an unknown call",
		`1 fsync(5) 0`:                               "end of an unknown call",
		`1 fsync(5) = zero`:                          "invalid syntax",
		`strace: what`:                               "incomplete call",
	} {
		_, err := parse(strings.NewReader(lines))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", lines, err, want)
		}
	}
}
