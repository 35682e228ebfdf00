package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

const sample = `package sample

import "fmt"

// pair holds two numbers.
type pair struct{ a, b int }

func (p *pair) sum() int { return p.a + p.b }

func Example_loop() {
	total := 0
	for i := range 3 {
		total += (&pair{i, i}).sum()
	}

	fmt.Println(total)
	// Output:
	// 6
}
`

func TestFill_WritesSnippetsAndReportsErrors(t *testing.T) {
	folder := t.TempDir()
	must.Do(t, os.WriteFile(filepath.Join(folder, "sample_test.go"), []byte(sample), 0o600))
	loop := "for i := range 3 {\n\ttotal += (&pair{i, i}).sum()\n}\n"
	for _, test := range []struct{ name, marker, want string }{
		{"the body of an example", "example: " + folder + " Example_loop", "total := 0\n" + loop + "\nfmt.Println(total)\n"},
		{"its first loop", "example: " + folder + " Example_loop/for", loop},
		{"its output", "output: " + folder + " Example_loop", "6\n"},
		{
			"declarations with their comments", "example: " + folder + " pair pair.sum",
			"// pair holds two numbers.\ntype pair struct{ a, b int }\n\nfunc (p *pair) sum() int { return p.a + p.b }\n",
		},
		{"a file", "file: " + filepath.Join(folder, "sample_test.go"), sample},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := "text\n\n<!-- " + test.marker + " -->\n```go\nstale\n```\nmore\n"
			after := must.Get(fill("x.md", before))(t)
			want := strings.Replace(before, "stale\n", test.want, 1)
			must.Equal(t, want, after)
		})
	}

	for _, test := range []struct{ name, text, want string }{
		{"no such name", "<!-- example: " + folder + " Example_none -->\n```\n```\n", "no Example_none in folder"},
		{"no block behind the marker", "<!-- example: " + folder + " pair -->\ntext\n", "no fenced block follows"},
		{"a command that fails", "<!-- run: cvvsim nonsense -->\n```\n```\n", "unknown command"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir("../../..")
			if _, err := fill("x.md", test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}

	t.Run("a Go comment", func(t *testing.T) {
		before := "// Package x sums.\n//\n// A loop (Example_loop):\n//\n//\tstale\n//\n//\tstale\n//\n// More.\npackage x\n"
		after := must.Get(fill(filepath.Join(folder, "doc.go"), before))(t)
		want := "// Package x sums.\n//\n// A loop (Example_loop):\n//\n//\ttotal := 0\n//\tfor i := range 3 {\n" +
			"//\t\ttotal += (&pair{i, i}).sum()\n//\t}\n//\n//\tfmt.Println(total)\n//\n// More.\npackage x\n"
		must.Equal(t, want, after)
	})
}

func TestRun_CheckReportsAStaleBlockAndWritesNothing(t *testing.T) {
	folder := t.TempDir()
	page, text := filepath.Join(folder, "page.md"), "<!-- file: "+filepath.Join(folder, "source.txt")+" -->\n```\nstale\n```\n"
	must.Do(t, os.WriteFile(filepath.Join(folder, "source.txt"), []byte("fresh\n"), 0o600))
	write := func() {
		must.Do(t, os.WriteFile(page, []byte(text), 0o600))
	}
	write()
	var stderr strings.Builder
	if status := run([]string{"-check", page}, &stderr); status != 1 || !strings.Contains(stderr.String(), "differs from its source") {
		t.Errorf("status %d: %s", status, &stderr)
	}
	if got, _ := os.ReadFile(page); string(got) != text {
		t.Errorf("-check wrote %q", got)
	}
	if status := run([]string{page}, &stderr); status != 0 {
		t.Errorf("status %d: %s", status, &stderr)
	}
	if status := run([]string{"-check", page}, &stderr); status != 0 {
		t.Errorf("status %d after filling: %s", status, &stderr)
	}
}
