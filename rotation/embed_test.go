package rotation_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

// The packages that services embed.
var embedded = []string{"cvvrotation/rotation", "cvvrotation/servicecode", "cvvrotation/cvvgen"}

// The embedded packages import, directly or not, the standard library and each other.
func TestEmbedded_ImportStandardLibraryAlone(t *testing.T) {
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

// A module that embeds them through a replace builds and runs with an empty module
// cache and no way to download anything.
func TestEmbedded_BuildWithoutDownloads(t *testing.T) {
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

// TestEmbedding_ThroughAMirror requires a version of this module that is published
// under another path, as docs/embedding.md recommends, from a module proxy in a
// folder.
func TestEmbedding_ThroughAMirror(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command: leave out -short to run it")
	}
	const mirror = "git.example.com/cards/cvvrotation"
	proxy, app := t.TempDir(), t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		must.Do(t, os.MkdirAll(filepath.Dir(name), 0o700))
		must.Do(t, os.WriteFile(name, content, 0o600))
	}
	read := func(name string) []byte {
		t.Helper()
		return must.Get(os.ReadFile(name))(t)
	}

	versions := filepath.Join(proxy, mirror, "@v")
	write(filepath.Join(versions, "v0.1.0.info"), []byte(`{"Version":"v0.1.0"}`))
	write(filepath.Join(versions, "v0.1.0.mod"), read("../go.mod"))
	archive := must.Get(os.Create(filepath.Join(versions, "v0.1.0.zip")))(t)
	z := zip.NewWriter(archive)
	add := func(name string) {
		t.Helper()
		w := must.Get(z.Create(mirror + "@v0.1.0/" + name))(t)
		must.Get(w.Write(read("../" + name)))(t)
	}
	add("go.mod")
	for _, folder := range []string{"rotation", "cvvgen", "servicecode"} {
		names := must.Get(fs.Glob(os.DirFS(".."), folder+"/*.go"))(t)
		for _, name := range names {
			add(name)
		}
	}
	must.Do(t, z.Close())
	must.Do(t, archive.Close())

	write(filepath.Join(app, "main.go"), read("testdata/embed/main.go"))
	write(filepath.Join(app, "go.mod"), []byte("module example.com/issuer\n\ngo 1.26.0\n\n"+
		"require cvvrotation v0.1.0\n\nreplace cvvrotation => "+mirror+" v0.1.0\n"))
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = app
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -modcacherw", "GOPROXY=file://"+filepath.ToSlash(proxy), "GOPRIVATE=git.example.com",
		"GONOPROXY=none", "GOWORK=off", "GOMODCACHE="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "R1 rotation_off") {
		t.Fatalf("go run: %v\n%s", err, out)
	}
	if sum := string(read(filepath.Join(app, "go.sum"))); !strings.Contains(sum, mirror+" v0.1.0 h1:") {
		t.Errorf("go.sum has no hash of the mirror:\n%s", sum)
	}
}
