// Package powertest simulates what a power cut leaves of a program's files. A killed
// program loses nothing that it has written; a power cut loses any part of what was not
// synced, in any order.
//
// [Trace] runs a program under strace. [Disk.Play] applies its system calls on the
// files of one folder to a model of a disk. On it a write may be lost until an fsync of
// the file has ended, and a created or removed name until an fsync of the folder. File
// systems are less strict: most keep the order of names, and the fsync of a new file
// includes its name. [Disk.Cut] returns what a power cut would leave at any moment (see
// [Mode]). The test writes that to a folder and starts the real program on it.
//
// Trace checks the model: applied to its end, the trace must result in the real files.
// So a system call that the model does not know is found.
package powertest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// calls are the system calls that change or sync files; "?" marks those that some
// architectures lack.
const calls = "?open,openat,close,write,pwrite64,ftruncate,?unlink,unlinkat,fsync,fdatasync,?mmap,?mmap2"

// Run is what a program did to the files of a folder.
type Run struct {
	dir    string
	events []event
}

// Moments returns the number of moments in which the power can be cut: before and after
// each system call.
func (r *Run) Moments() int { return len(r.events) }

// Syncs returns the moments in which a sync has begun but not ended, when most can be
// lost.
func (r *Run) Syncs() []int { return r.begun((*call).isSync) }

// Outputs returns the moments after the program has written to standard output.
func (r *Run) Outputs() []int { return r.begun((*call).isOutput) }

func (r *Run) begun(is func(*call) bool) (moments []int) {
	for i, e := range r.events {
		if e.begins && is(e.call) {
			moments = append(moments, i)
		}
	}
	return moments
}

// Trace runs a program until it ends, and returns what it did to the files of the
// folder dir, which must not have subfolders. It returns an error if the program
// fails. The program must be a single process, whose threads share their files, and
// must name files by absolute paths without symbolic links. Trace skips the test like
// [Need].
func Trace(t testing.TB, dir string, cmd *exec.Cmd) (*Run, error) {
	t.Helper()
	strace := Need(t)
	before, err := read(dir)
	if err != nil {
		return nil, err
	}
	log := filepath.Join(t.TempDir(), "strace")
	traced := exec.CommandContext(t.Context(), strace, append([]string{
		"-f", "--seccomp-bpf", // stop at these calls only
		"-e", "trace=" + calls, "-e", "signal=none",
		"-xx", "-s", "1048576", // all bytes of all strings, in hexadecimal
		"-o", log, cmd.Path}, cmd.Args[1:]...)...)
	traced.Cancel = func() error { return traced.Process.Signal(os.Interrupt) } // strace then ends the program
	traced.WaitDelay = time.Minute
	traced.Env, traced.Dir = cmd.Env, cmd.Dir
	var output bytes.Buffer
	traced.Stdout, traced.Stderr = &output, &output
	parent, err := traced.StdinPipe() // which closes when the test process ends
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := traced.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(output.String()))
	}
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &Run{dir: dir}
	if r.events, err = parse(f); err != nil {
		return nil, err
	}
	return r, r.check(before)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// check compares the result of the whole run with the real files.
func (r *Run) check(before Image) error {
	d := NewDisk(before)
	if err := d.Play(r, nil); err != nil {
		return err
	}
	must, err := read(r.dir)
	if err != nil {
		return err
	}
	is := d.Cut(KeepAll, nil)
	for name := range d.names {
		if d.names[name].mapped { // unknown content
			delete(must, name)
			delete(is, name)
		}
	}
	if maps.EqualFunc(is, must, bytes.Equal) {
		return nil
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(must)) {
		if !bytes.Equal(is[name], must[name]) {
			differ = append(differ, fmt.Sprintf("%s has %d bytes, but %d in the model", name, len(must[name]), len(is[name])))
		}
	}
	return fmt.Errorf("the model differs from the real files (%d of %d; %s): the trace lacks a system call",
		len(is), len(must), strings.Join(differ, "; "))
}

// Need returns the path of strace. If strace is not installed or may not trace, the test
// is skipped; if the environment variable CI is set, it fails. CUTS=0 skips the test.
func Need(t testing.TB) string {
	t.Helper()
	if os.Getenv("CUTS") == "0" {
		t.Skip("skipped by CUTS=0")
	}
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	path, err := exec.LookPath("strace")
	if err != nil {
		missing("strace (Linux only) is not installed: apt-get install strace")
	}
	out, err := exec.CommandContext(t.Context(), path, "-f", "--seccomp-bpf", "-e", "trace="+calls, "-o", os.DevNull, path, "-V").CombinedOutput()
	if err != nil {
		missing("strace can't trace on this machine (%v: %s): allow ptrace, for example with docker run --cap-add=SYS_PTRACE, or skip the test with CUTS=0",
			err, lastLine(string(out)))
	}
	return path
}

// Image is the content of the files of a folder, by name.
type Image map[string][]byte

func read(dir string) (Image, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	image := Image{}
	for _, e := range entries {
		if e.IsDir() {
			return nil, errors.New(dir + " has a subfolder")
		}
		if image[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// Write writes the files to a folder, readable for their owner alone.
func (image Image) Write(dir string) error {
	for name, content := range image {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
