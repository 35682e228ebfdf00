package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"cvvrotation/sim/must"
)

// The test works for root, too: it runs on a thread without root's file permissions.
func TestOpen_ReadOnlyFolderAndFile(t *testing.T) {
	folder := t.TempDir()
	for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must.Do(t, os.Chmod(dir, 0o755))
	}
	path := filepath.Join(folder, "cards.db")
	mustOpen(t, path, nil).Close()
	for _, name := range []string{path, path + "-writer-lock"} {
		must.Do(t, os.Chmod(name, 0o644))
	}
	must.Do(t, os.Chmod(folder, 0o555))
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it: the thread ends with the goroutine
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		if _, err := Open(t.Context(), filepath.Join(folder, "new.db"), Options{}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a new file: %v", err)
		}
		if s, err := Open(t.Context(), path, Options{}); err == nil {
			s.Close()
			t.Error("Open accepts a file that it cannot write")
		} else {
			t.Log(err)
		}
	}()
	<-done
}
