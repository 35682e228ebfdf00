package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/benbjohnson/clock"
)

// TestReadOnly is also for root: the thread does without its rights.
func TestReadOnly(t *testing.T) {
	folder := t.TempDir()
	for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(folder, "cards.db")
	mustOpen(t, path, clock.NewMock()).Close()
	for _, name := range []string{path, path + "-turn"} {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
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
			t.Error("a file that is not ours opens")
		} else {
			t.Log(err)
		}
	}()
	<-done
}
