package rotation_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The packages that services embed.
var embedded = []string{"cvvrotation/rotation", "cvvrotation/servicecode", "cvvrotation/cvvgen"}

// TestStandardLibraryAlone: what the embedded packages import, and what that
// imports, is the standard library or one of them.
func TestStandardLibraryAlone(t *testing.T) {
	args := append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, embedded...)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	own := make(map[string]bool)
	for _, pkg := range embedded {
		own[pkg] = true
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if !own[pkg] {
			t.Errorf("the embedded packages depend on %s", pkg)
		}
	}
}

// TestEmbedding builds and runs a module that embeds them through a replace,
// with an empty module cache and no way to download anything.
func TestEmbedding(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command: leave out -short to run it")
	}
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = "testdata/embed"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off", "GOMODCACHE="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go run: %v\n%s", err, out)
	}
	want := "R1 rotation_off rotation/1 guard=forced@2026-11-22T15:00:00Z crc=82b386b7 true [redacted]\n"
	if string(out) != want {
		t.Errorf("got %swant %s", out, want)
	}
}
