package command

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cvvrotation/sim/must"
)

// left returns the names in the folder.
func left(t *testing.T, dir string) (names []string) {
	for _, e := range must.Get(os.ReadDir(dir))(t) {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteFile_KeepsModeAndLinks(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	umask := syscall.Umask(0o027)
	defer syscall.Umask(umask)
	for name, mode := range map[string]fs.FileMode{"wide": 0o666, "secret": 0o600} {
		must.Do(t, os.WriteFile(path(name), []byte("a longer text than the new one"), mode))
		must.Do(t, os.Chmod(path(name), mode)) // without the umask
	}
	must.Do(t, os.Mkdir(path("sub"), 0o700))
	must.Do(t, os.Symlink("sub/target", path("dangling")))
	must.Do(t, os.Symlink("wide", path("link")))
	must.Do(t, os.Symlink(path("link"), path("chain")))
	for _, row := range []struct {
		name, file string
		mode       fs.FileMode
	}{
		{"new", "new", 0o640},
		{"wide", "wide", 0o666},
		{"secret", "secret", 0o600},
		{"dangling", "sub/target", 0o640},
		{"dangling", "sub/target", 0o640},
		{"link", "wide", 0o666},
		{"chain", "wide", 0o666},
	} {
		t.Run(row.name, func(t *testing.T) {
			was, _ := os.Lstat(path(row.name))
			must.Do(t, new(Program{Name: "demo"}).WriteFile(path(row.name), []byte(row.name)))
			if got := must.Get(os.ReadFile(path(row.file)))(t); string(got) != row.name {
				t.Errorf("content %q", got)
			}
			if mode := must.Get(os.Lstat(path(row.file)))(t).Mode(); mode != row.mode {
				t.Errorf("mode %v, want %v", mode, row.mode)
			}
			if is := must.Get(os.Lstat(path(row.name)))(t); was != nil && is.Mode().Type() != was.Mode().Type() {
				t.Errorf("%v replaced %v", is.Mode(), was.Mode())
			}
		})
	}
	if names := left(t, dir); len(names) != 7 {
		t.Errorf("left behind: %v", names)
	}
}

func TestWriteFile_WritesFIFOAndStdoutInPlace(t *testing.T) {
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	must.Do(t, syscall.Mkfifo(fifo, 0o600))
	stdout := must.Get(os.Create(file))(t)
	defer stdout.Close()
	p := &Program{Name: "demo", Stdout: stdout}
	wrote := make(chan error)
	go func() { wrote <- p.WriteFile(fifo, []byte("through")) }()
	if got := must.Get(os.ReadFile(fifo))(t); string(got) != "through" {
		t.Errorf("the FIFO's reader got %q", got)
	}
	must.Do(t, <-wrote)
	for _, name := range []string{"-", file, "-"} {
		must.Do(t, p.WriteFile(name, []byte("x")))
	}
	if got := must.Get(os.ReadFile(file))(t); string(got) != "xxx" {
		t.Errorf("standard output got %q", got)
	}
	if names := left(t, dir); len(names) != 2 || must.Get(os.Lstat(fifo))(t).Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("left behind: %v", names)
	}
}

func TestCreate_LeavesPreviousFileUnlessCommitted(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	must.Do(t, os.WriteFile(name, []byte("old"), 0o600))
	f := must.Get(new(Program{Name: "demo"}).Create(name))(t)
	must.Get(io.WriteString(f, "new"))(t)
	f.Discard()
	if got := must.Get(os.ReadFile(name))(t); string(got) != "old" || len(left(t, dir)) != 1 {
		t.Errorf("content %q among %v", got, left(t, dir))
	}
}

func TestWriteFile_ReportsWhatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	must.Do(t, os.Symlink("loop", loop))
	for name, want := range map[string]error{
		"": fs.ErrNotExist, dir: syscall.EISDIR, dir + "/no/such/file": fs.ErrNotExist, dir + "/new/": fs.ErrNotExist,
		loop: syscall.ELOOP,
	} {
		t.Run(name, func(t *testing.T) {
			if err := new(Program{Name: "demo"}).WriteFile(name, []byte("x")); !errors.Is(err, want) || strings.Contains(err.Error(), ".demo-") {
				t.Errorf("%v, want %v and the file's name", err, want)
			}
		})
	}
	if names := left(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}
