package rotation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

// TestOutsideModule_KeepsItsVersions adds this module to one with older versions of
// the libraries that the daemon uses, and imports every public package: rules,
// generators, engine and simulator. None of those versions may move.
func TestOutsideModule_KeepsItsVersions(t *testing.T) {
	if os.Getenv("CI") == "" {
		t.Skip("downloads and compiles six libraries: set CI=1 to run it")
	}
	root := must.Get(filepath.Abs(".."))(t)
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		content := must.Get(os.ReadFile(filepath.Join("testdata/outside", name)))(t)
		must.Do(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
		}
		return string(out)
	}
	versions := func() map[string]string {
		found := make(map[string]string)
		for line := range strings.Lines(run(dir, "list", "-m", "all")) {
			if module, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				found[module] = version
			}
		}
		return found
	}

	before := versions()
	var imports strings.Builder
	imports.WriteString("package main\n\nimport (\n")
	packages := 0
	for pkg := range strings.FieldsSeq(run(root, "list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./...")) {
		if !strings.Contains(pkg, "/internal/") {
			imports.WriteString("\t_ \"" + pkg + "\"\n")
			packages++
		}
	}
	if packages < 15 {
		t.Errorf("the module has only %d public packages", packages)
	}
	imports.WriteString(")\n")
	must.Do(t, os.WriteFile(filepath.Join(dir, "imports.go"), []byte(imports.String()), 0o600))
	run(dir, "mod", "edit", "-require=cvvrotation@v0.0.0", "-replace=cvvrotation="+root)
	run(dir, "mod", "tidy")
	run(dir, "build", "-o", filepath.Join(dir, "outside"), ".")

	after := versions()
	for _, module := range []string{
		"github.com/golang-jwt/jwt/v5",
		"github.com/jackc/pgx/v5",
		"github.com/nats-io/nats.go",
		"github.com/prometheus/client_golang",
		"go.opentelemetry.io/otel",
		"google.golang.org/grpc",
	} {
		if before[module] == "" || after[module] != before[module] {
			t.Errorf("%s moved from %q to %q", module, before[module], after[module])
		}
	}
	for module, version := range before {
		if after[module] != version {
			t.Logf("%s: %s before, %s after", module, version, after[module])
		}
	}
}
