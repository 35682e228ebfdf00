// Package powertest shows what a power cut can leave of a program's files. A kill
// loses nothing that the kernel has; a power cut loses what was not synced, or
// keeps any part of it, in any order.
//
// [Trace] runs a program under strace. What it did to the files of one folder is
// then played, call by call, to a [Disk]: a model on which a write may be lost
// until an fsync of its file has ended, and a name that came or went until one of
// the folder. That is stricter than file systems are: most keep names in order,
// and an fsync of a new file also its name. At any moment the disk says what a
// power cut would leave (see [Way]); the test writes that to a folder, and starts
// the real program on it.
//
// The oracle is the trace alone. What it misses, a call that the model does not
// know, would show: played to its end, it must give the files that there are.
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

// calls are the system calls that change files, or make changes last; "?" is for
// those that not every architecture has.
const calls = "?open,openat,close,write,pwrite64,ftruncate,?unlink,unlinkat,fsync,fdatasync,?mmap,?mmap2"

// Run is what a program did to the files of a folder.
type Run struct {
	dir    string
	events []event
}

// Moments returns in how many moments the power could be cut: before and after
// each system call, as far as that makes a difference.
func (r *Run) Moments() int { return len(r.events) }

// Syncs returns the moments in which a sync has begun, and not ended: when there
// is most to lose.
func (r *Run) Syncs() []int { return r.begun((*call).syncs) }

// Says returns the moments in which the program has just said something on
// standard output.
func (r *Run) Says() []int { return r.begun((*call).says) }

func (r *Run) begun(is func(*call) bool) (moments []int) {
	for i, e := range r.events {
		if e.begins && is(e.call) {
			moments = append(moments, i)
		}
	}
	return moments
}

// Trace runs a program until it ends, and returns what it did to the files of the
// folder dir, which has no folders below; an error of the program is one. The
// program is a single process whose threads share their files. It names the files
// by absolute paths, without symbolic links, and its standard output is its
// testimony (see [Disk.Said]). It takes what [Need] asks for.
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
	var said bytes.Buffer
	traced.Stdout, traced.Stderr = &said, &said
	parent, err := traced.StdinPipe() // whose end tells the program that the test is gone
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := traced.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(said.String()))
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

// check plays the run to its end, and compares.
func (r *Run) check(before Image) error {
	d := NewDisk(before)
	if err := d.Play(r, nil); err != nil {
		return err
	}
	must, err := read(r.dir)
	if err != nil {
		return err
	}
	is := d.Cut(Everything, nil)
	for name := range d.names {
		if d.names[name].mapped { // who knows
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
			differ = append(differ, fmt.Sprintf("%s has %d bytes, and %d on the model of the disk", name, len(must[name]), len(is[name])))
		}
	}
	return fmt.Errorf("the trace does not lead to the files that there are: %d of %d; %s; it lacks a system call",
		len(is), len(must), strings.Join(differ, "; "))
}

// Need returns strace's path, once it has traced something. Where there is none,
// and where the machine does not let it trace, the test is skipped; with the
// environment variable CI set, it fails, unless CUTS=0 says to leave it out.
func Need(t testing.TB) string {
	t.Helper()
	if os.Getenv("CUTS") == "0" {
		t.Skip("CUTS=0 leaves it out")
	}
	missing := t.Skipf
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	path, err := exec.LookPath("strace")
	if err != nil {
		missing("no strace, which is for Linux: install it (apt-get install strace), then go test again")
	}
	out, err := exec.CommandContext(t.Context(), path, "-f", "--seccomp-bpf", "-e", "trace="+calls, "-o", os.DevNull, path, "-V").CombinedOutput()
	if err != nil {
		missing("strace can't trace on this machine (%v: %s): allow ptrace, such as with docker run --cap-add=SYS_PTRACE, or leave the test out with CUTS=0",
			err, lastLine(string(out)))
	}
	return path
}

// Image is the files of a folder, by name.
type Image map[string][]byte

func read(dir string) (Image, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	image := Image{}
	for _, e := range entries {
		if e.IsDir() {
			return nil, errors.New("there is a folder in " + dir)
		}
		if image[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// Write writes the files to a folder, for their owner alone.
func (image Image) Write(dir string) error {
	for name, content := range image {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
