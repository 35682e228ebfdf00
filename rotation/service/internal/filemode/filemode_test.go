package filemode_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/rotation/service/internal/filemode"
	"cvvrotation/sim/must"
)

// at makes a folder with a file, and returns the file's name.
func at(t *testing.T, folder, file fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder")
	must.Do(t, os.Mkdir(dir, 0o700))
	name := filepath.Join(dir, "file")
	must.Do(t, os.WriteFile(name, nil, 0o600))
	must.Do(t, os.Chmod(name, file))
	must.Do(t, os.Chmod(dir, folder))
	return name
}

// TestChecks_ByModeOfFileAndFolder: an error says what to do.
func TestChecks_ByModeOfFileAndFolder(t *testing.T) {
	for name, test := range map[string]struct {
		folder, file                          fs.FileMode
		private, secret, trusted, notWritable bool
	}{
		"owner only":                 {0o700, 0o600, true, true, true, true},
		"group may write":            {0o775, 0o660, true, true, true, true},
		"others may read":            {0o755, 0o644, false, false, true, true},
		"others may write":           {0o755, 0o666, false, false, false, false},
		"others may only write":      {0o755, 0o602, false, false, false, false},
		"others may execute":         {0o755, 0o601, false, false, true, true},
		"others may replace it":      {0o777, 0o644, false, false, false, true},
		"others may only write to":   {0o702, 0o600, true, false, false, true},
		"a secret, sticky":           {0o777 | fs.ModeSticky, 0o640, true, true, true, true},
		"others share a sticky one":  {0o777 | fs.ModeSticky, 0o644, false, false, true, true},
		"others write, sticky":       {0o777 | fs.ModeSticky, 0o646, false, false, false, false},
		"a folder with set group id": {0o777 | fs.ModeSetgid, 0o644, false, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			file := at(t, test.folder, test.file)
			elsewhere := filepath.Join(t.TempDir(), "link")
			must.Do(t, os.Symlink(file, elsewhere))
			for _, path := range []string{file, elsewhere} {
				for check, one := range map[string]struct {
					err error
					ok  bool
				}{
					"Private": {filemode.Private(path), test.private}, "Secret": {filemode.Secret(path), test.secret}, "Trusted": {filemode.Trusted(path), test.trusted},
					"NotWritable": {filemode.NotWritable(path), test.notWritable},
				} {
					if (one.err == nil) != one.ok {
						t.Errorf("%s(%s): %v", check, filepath.Base(path), one.err)
					}
					if one.err != nil && (!strings.Contains(one.err.Error(), ": run chmod ") || !strings.Contains(one.err.Error(), path)) {
						t.Error(one.err)
					}
				}
			}
		})
	}
}

func TestTrusted_ChecksFolderOfLinkAndOfFile(t *testing.T) {
	good := at(t, 0o755, 0o644)
	link := filepath.Join(filepath.Dir(at(t, 0o777, 0o644)), "link")
	must.Do(t, os.Symlink(good, link))
	if err := filemode.Trusted(link); err == nil || !strings.Contains(err.Error(), filepath.Dir(link)) {
		t.Error("a link that others may replace:", err)
	}
}

// A ConfigMap's folder has mode 0777 in a container, on a read-only mount.
func TestChecks_OnlyAWritableMountCanBeWritten(t *testing.T) {
	if file := os.Getenv("FILEMODE_READ_ONLY"); file != "" { // in a mount namespace: see below
		must.Do(t, filemode.Trusted(file))
		must.Do(t, filemode.NotWritable(file))
		must.Do(t, filemode.NotWritable(filepath.Dir(file)))
		if filemode.Private(file) == nil {
			t.Error("a secret that others may read")
		}
		return
	}
	if err := exec.Command("unshare", "--map-root-user", "--mount", "true").Run(); err != nil {
		t.Skip("this machine has no mount namespaces for tests: ", err)
	}
	file := at(t, 0o777, 0o666)
	script := `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && FILEMODE_READ_ONLY="$1/file" exec "$2" -test.v -test.run="$3"`
	cmd := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", filepath.Dir(file), os.Args[0], t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v: %s", err, out)
	}
	if filemode.Trusted(file) == nil {
		t.Error("the same file on a writable mount")
	}
}

func TestChecks_OfWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for name, check := range map[string]func(string) error{"Private": filemode.Private, "Secret": filemode.Secret, "Trusted": filemode.Trusted, "NotWritable": filemode.NotWritable} {
		if err := check(none); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of no file: %v", name, err)
		}
	}
	if filemode.Private(dir) == nil || filemode.Private("/dev/null") == nil {
		t.Error("a folder or a device is private")
	}
	must.Do(t, filemode.Trusted("/dev/null"))
	must.Do(t, filemode.NotWritable("/dev/null"))
	must.Do(t, os.Chmod(dir, 0o777))
	if filemode.NotWritable(dir) == nil {
		t.Error("a folder that others may write")
	}
}
