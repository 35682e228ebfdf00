package appendfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/internal/appendfile"
	"cvvrotation/sim/must"
)

var (
	exclusive = appendfile.Options{Create: true, Exclusive: true}
	shared    = appendfile.Options{Create: true}
)

func open(t *testing.T, path string, o appendfile.Options) *appendfile.File {
	t.Helper()
	f := must.Get(appendfile.Open(path, o))(t)
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t *testing.T, f *appendfile.File, line string) {
	t.Helper()
	if n, err := f.Write([]byte(line)); err != nil || n != len(line) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// put makes a file with a content.
func put(t *testing.T, path, text string) {
	t.Helper()
	must.Do(t, os.WriteFile(path, []byte(text), 0o600))
}

func expect(t *testing.T, path, want string) {
	t.Helper()
	got := must.Get(os.ReadFile(path))(t)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// each runs a test for an exclusive and a shared file.
func each(t *testing.T, test func(t *testing.T, path string, o appendfile.Options)) {
	for name, o := range map[string]appendfile.Options{"exclusive": exclusive, "shared": shared} {
		t.Run(name, func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "lines"), o) })
	}
}

// whole are lines as they would be without a crash.
const whole = "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n"

// TestOpen_TornLineAfterACrash cuts a file at every byte.
func TestOpen_TornLineAfterACrash(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		for n := range len(whole) + 1 {
			put(t, path, whole[:n])
			f := open(t, path, o)
			write(t, f, "{\"id\":9}\n")
			f.Close()
			kept := whole[:strings.LastIndexByte(whole[:n], '\n')+1]
			if !o.Exclusive && kept != whole[:n] {
				kept = whole[:n] + "\n"
			} else if strings.HasSuffix(whole[:n], "}") {
				kept = whole[:n] + "\n" // the line is complete but for its end
			}
			expect(t, path, kept+"{\"id\":9}\n")
		}
	})
}

// TestOpen_HolesAfterAPowerCut leaves zeros anywhere in a file, as a power cut
// does that keeps a later part of a write and loses an earlier one.
func TestOpen_HolesAfterAPowerCut(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		for from := range len(whole) {
			for to := from + 1; to <= len(whole); to++ {
				text := whole[:from] + strings.Repeat("\x00", to-from) + whole[to:]
				put(t, path, text)
				f := open(t, path, o)
				write(t, f, "{\"id\":9}\n")
				f.Close()
				kept := whole[:strings.LastIndexByte(whole[:from], '\n')+1]
				if !o.Exclusive { // a hole of another process's record stays
					if kept = text; !strings.HasSuffix(text, "\n") {
						kept += "\n"
					}
				}
				expect(t, path, kept+"{\"id\":9}\n")
			}
		}
	})
}

func TestOpen_LeavesForeignFilesUnchanged(t *testing.T) {
	for name, text := range map[string]string{
		"text":         "Dear diary,\ntoday I",
		"one line":     "secret",
		"an image":     "\x89PNG\r\n\x1a\n\x00\x00",
		"a database":   "SQLite format 3\x00\x10\x00",
		"endless line": strings.Repeat("{", 2<<20),
		"lines":        "Dear diary,\ntoday I slept.\n",
		"not JSON":     "{\"id\":1}\n{dear diary}\n",
		"blank line":   "Dear diary,\n\n",
		"long line":    `{"id":"` + strings.Repeat("1", 2<<20) + "\"}\n",
		"long hole":    "{\"id\":1}\n" + strings.Repeat("\x00", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			put(t, path, text)
			if _, err := appendfile.Open(path, exclusive); !errors.Is(err, appendfile.ErrNotLines) {
				t.Error(err)
			}
			expect(t, path, text)
		})
	}
}

func TestOpen_RefusesWhatIsNoFile(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		for _, bad := range []string{filepath.Dir(path), filepath.Join(path, "no", "such", "folder")} {
			if _, err := appendfile.Open(bad, o); err == nil {
				t.Errorf("%s was opened", bad)
			}
		}
	})
}

// TestWrite_DeletedFile shows that no line goes to a deleted file: the file is
// created again, or the write fails.
func TestWrite_DeletedFile(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		creating := open(t, path, o)
		o.Create = false
		other := open(t, path, o)
		must.Do(t, os.Remove(path))
		if _, err := other.Write([]byte("1\n")); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		write(t, creating, "2\n")
		expect(t, path, "2\n")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
		must.Do(t, os.RemoveAll(filepath.Dir(path)))
		if n, err := creating.Write([]byte("3\n")); n != 0 || !errors.Is(err, fs.ErrNotExist) {
			t.Error(n, err)
		}
		must.Do(t, os.Mkdir(filepath.Dir(path), 0o700))
		write(t, creating, "4\n")
		expect(t, path, "4\n")
	})
}

// TestWrite_FullDisk shows what a write that does not fit leaves behind: nothing
// in an exclusive file, an incomplete line in a shared one, which the next write
// ends.
func TestWrite_FullDisk(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		f := open(t, path, o)
		// The limit applies to the whole process, whose other files are shorter.
		first := strings.Repeat("a", 1<<19) + "\n"
		write(t, f, first)
		var before syscall.Rlimit
		must.Do(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
		limit := before
		limit.Cur = uint64(len(first) + 5)
		must.Do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		n, err1 := f.Write([]byte("1\n2222\n"))
		_, err2 := f.Write([]byte("3333333\n"))
		must.Do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
		want, left := 5, "1\n222\n"
		if o.Exclusive {
			want, left = 0, ""
		}
		if n != want || err1 == nil || err2 == nil {
			t.Errorf("%d bytes were written: %v, %v", n, err1, err2)
		}
		write(t, f, "4\n")
		expect(t, path, first+left+"4\n")
	})
}

func TestWrite_EndsLineThatAnotherWriterLeftIncomplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	a, b := open(t, path, shared), open(t, path, shared)
	write(t, a, "1\n22")
	write(t, b, "3\n")
	write(t, a, "4\n")
	expect(t, path, "1\n22\n3\n4\n")
}

// TestWrite_SharedFileKeepsLinesWhole opens the file again and again while others
// write lines long enough that a reader can see half of one.
func TestWrite_SharedFileKeepsLinesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	put(t, path, "")
	const writers, lines = 4, 100
	line := strings.Repeat("x", 100_000) + "\n"
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			var f *appendfile.File
			for n := range lines {
				if i%2 == 0 || n == 0 {
					f = open(t, path, shared)
				}
				if _, err := f.Write([]byte(line)); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					f.Close()
				}
			}
		})
	}
	wait.Wait()
	text := must.Get(os.ReadFile(path))(t)
	if string(text) != strings.Repeat(line, writers*lines) {
		t.Errorf("%d lines, %d of them blank; want %d whole lines", bytes.Count(text, []byte("\n")), bytes.Count(text, []byte("\n\n")), writers*lines)
	}
}

func TestOpen_RefusesSharedFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lines")
	put(t, path, "")
	must.Do(t, os.Chmod(path, 0o222))
	if os.Getuid() == 0 { // root may read every file: open it as another user
		must.Do(t, os.Chmod(filepath.Dir(dir), 0o755))
		runtime.LockOSThread()
		must.Do(t, syscall.Setfsuid(65534)) // of this thread
		defer runtime.UnlockOSThread()
		defer syscall.Setfsuid(0)
	}
	if _, err := appendfile.Open(path, shared); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

func TestWrite_SharedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must.Do(t, syscall.Mkfifo(path, 0o600))
	got := make(chan string)
	go func() {
		text, _ := os.ReadFile(path)
		got <- string(text)
	}()
	f := open(t, path, shared)
	write(t, f, "1\n")
	f.Close()
	if text := <-got; text != "1\n" {
		t.Errorf("read %q", text)
	}
}

// Another file renamed over the path leaves the open one without a name: what is
// written there is gone when the process ends.
func TestWrite_ReopensWhenAnotherFileIsRenamedOverIt(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		f := open(t, path, o)
		write(t, f, "1\n")
		put(t, path+".new", "{}\n")
		must.Do(t, os.Rename(path+".new", path))
		write(t, f, "2\n")
		expect(t, path, "{}\n2\n")
	})
}

// TestReopen_AfterLogRotation also shows that a failure keeps the old file.
func TestReopen_AfterLogRotation(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		f := open(t, path, o)
		write(t, f, "1\n")
		must.Do(t, os.Rename(path, path+".1"))
		put(t, path, "")
		write(t, f, "2\n") // without a call of Reopen
		must.Do(t, f.Reopen())
		write(t, f, "3\n")
		expect(t, path+".1", "1\n2\n")
		expect(t, path, "3\n")

		must.Do(t, os.Rename(path, path+".2"))
		must.Do(t, os.Mkdir(path, 0o700))
		if err := f.Reopen(); err == nil {
			t.Error("a folder was opened")
		}
		write(t, f, "4\n")
		expect(t, path+".2", "3\n4\n")
	})
}

func TestWrite_FailsAfterClose(t *testing.T) {
	each(t, func(t *testing.T, path string, o appendfile.Options) {
		f := open(t, path, o)
		must.Do(t, errors.Join(f.Close(), f.Close()))
		if _, err := f.Write([]byte("1\n")); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
		if err := f.Reopen(); !errors.Is(err, os.ErrClosed) {
			t.Error("Reopen:", err)
		}
	})
}

// full is a stream that accepts a number of bytes.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(b []byte) (int, error) {
	n, _ := f.Buffer.Write(b[:min(len(b), f.room)])
	if f.room -= n; n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestLines_EndsIncompleteLine(t *testing.T) {
	stream := &full{room: 5}
	lines := appendfile.Lines{W: stream}
	for i, c := range []struct {
		line string
		n    int
		err  error
	}{{"1\n", 2, nil}, {"2222\n", 3, syscall.ENOSPC}, {"3\n", 0, syscall.ENOSPC}, {"4\n", 2, nil}, {"5\n", 2, nil}} {
		if i == 3 {
			stream.room = 100
		}
		if n, err := lines.Write([]byte(c.line)); n != c.n || err != c.err {
			t.Errorf("%q: %d, %v", c.line, n, err)
		}
	}
	if got, want := stream.String(), "1\n222\n4\n5\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "appendfile")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "events.jsonl")
	os.WriteFile(path, []byte("{\"id\":1}\n{\"id"), 0o600) // as a crash leaves it
	f, err := appendfile.Open(path, appendfile.Options{Create: true, Exclusive: true})
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, `{"id":2}`)
	text, _ := os.ReadFile(path)
	fmt.Print(string(text))
	// Output:
	// {"id":1}
	// {"id":2}
}

// TestAppend_SeesTheEndUnderTheLock counts up in a file that several writers share:
// each line is one more than the last line.
func TestAppend_SeesTheEndUnderTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	const writers, lines = 4, 200
	var wait sync.WaitGroup
	for range writers {
		f := open(t, path, shared)
		wait.Go(func() {
			for range lines {
				err := f.Append(func(file *os.File) ([]byte, error) {
					text, err := os.ReadFile(path)
					return fmt.Appendf(nil, "%d\n", bytes.Count(text, []byte("\n"))+1), err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	want := ""
	for i := range writers * lines {
		want += fmt.Sprintln(i + 1)
	}
	expect(t, path, want)
}

func TestAppend_WritesNothingAfterAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	put(t, path, "torn")
	f := open(t, path, shared)
	wrong := errors.New("wrong")
	if err := f.Append(func(*os.File) ([]byte, error) { return []byte("1\n"), wrong }); err != wrong {
		t.Error(err)
	}
	must.Do(t, f.Append(func(*os.File) ([]byte, error) { return nil, nil }))
	expect(t, path, "torn")
	f.Close()
	if err := f.Append(func(*os.File) ([]byte, error) { return []byte("1\n"), nil }); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestAppend_PipeHasNoEnd(t *testing.T) {
	f := open(t, "/dev/null", shared)
	must.Do(t, f.Append(func(file *os.File) ([]byte, error) {
		if file != nil {
			t.Error("a device was passed")
		}
		return []byte("1\n"), nil
	}))
}

// TestLeave_SeesTheOldFile: moved, deleted and replaced files, and none that is the
// same as before.
func TestLeave_SeesTheOldFile(t *testing.T) {
	for name, row := range map[string]struct {
		change func(path string) error
		reopen bool
		want   string
	}{
		"unchanged":       {func(string) error { return nil }, true, ""},
		"moved, reopened": {func(path string) error { return os.Rename(path, path+".1") }, true, "1\n"},
		"moved":           {func(path string) error { return os.Rename(path, path+".1") }, false, "1\n"},
		"deleted":         {os.Remove, false, "1\n"},
		"replaced": {func(path string) error {
			return errors.Join(os.WriteFile(path+"x", nil, 0o600), os.Rename(path+"x", path))
		}, false, "1\n"},
		"truncated":           {func(path string) error { return os.Truncate(path, 0) }, true, ""},
		"moved and re-linked": {func(path string) error { return errors.Join(os.Rename(path, path+".1"), os.Link(path+".1", path)) }, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lines")
			left := ""
			o := shared
			o.Leave = func(old *os.File) {
				b := make([]byte, 100)
				n, _ := old.ReadAt(b, 0)
				left += string(b[:n])
			}
			f := open(t, path, o)
			write(t, f, "1\n")
			must.Do(t, row.change(path))
			if row.reopen {
				must.Do(t, f.Reopen())
			}
			write(t, f, "2\n")
			if left != row.want {
				t.Errorf("left a file with %q, want %q", left, row.want)
			}
		})
	}
}

// Who may only read the file can lock it, too. The first write waits, the next ones do
// not, and the first one after the lock is released succeeds.
func TestWrite_DoesNotWaitForeverForALock(t *testing.T) {
	for name, how := range map[string]int{"exclusive": syscall.LOCK_EX, "shared": syscall.LOCK_SH} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lines")
			f := open(t, path, appendfile.Options{Create: true, LockWait: 50 * time.Millisecond})
			write(t, f, "1\n")
			reader := must.Get(os.Open(path))(t)
			defer reader.Close()
			for range 2 {
				must.Do(t, syscall.Flock(int(reader.Fd()), how))
				for i := range 1000 {
					start := time.Now()
					if _, err := f.Write([]byte("lost\n")); !errors.Is(err, appendfile.ErrLocked) || !strings.Contains(err.Error(), path) {
						t.Fatal(err)
					}
					if waited := time.Since(start); i == 0 && waited < 50*time.Millisecond {
						t.Errorf("the first write waited for %v", waited)
					}
				}
				must.Do(t, syscall.Flock(int(reader.Fd()), syscall.LOCK_UN))
				write(t, f, "2\n")
			}
			expect(t, path, "1\n2\n2\n")
		})
	}
}
