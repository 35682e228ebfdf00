package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "draw the README's picture anew; look at it")

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmeSnippet: what the README shows is what is compiled and run.
func TestReadmeSnippet(t *testing.T) {
	_, snippet, ok := strings.Cut(readFile(t, "../../README.md"), "```go\n")
	snippet, _, ok2 := strings.Cut(snippet, "```\n")
	if !ok || !ok2 {
		t.Fatal("the README has no Go snippet")
	}
	if example := readFile(t, "../../rotation/example_embedding_test.go"); !strings.Contains(example, snippet) {
		t.Errorf("the README's snippet is not in example_embedding_test.go:\n%s", cmp.Diff(example, snippet))
	}
}

// TestReadmeTimeline: the timeline that the README shows is one, and holds.
func TestReadmeTimeline(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^    (2026-\S+Z |\+\S+ ).*\n`).FindAllString(readFile(t, "../../README.md"), -1)
	if status, out, errs := call(strings.Join(lines, ""), "verify", "-"); status != exitDone || !strings.HasPrefix(out, "3 events, 1 judged") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

// TestReadmePicture: the picture is what the command draws.
func TestReadmePicture(t *testing.T) {
	const picture = "../../docs/overview.svg"
	status, svg, errs := call("", "replay", "-o", "svg",
		"--title", "CVV rotation: the schedule and the 2-minute guard", "../../sim/scenarios/overview.timeline")
	if status != exitDone {
		t.Fatalf("status %d: %s", status, errs)
	}
	if *update {
		if err := os.WriteFile(picture, []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if readFile(t, picture) != svg {
		t.Errorf("%s is not what cvvsim draws: run make golden and look at it", picture)
	}
}

// TestReadmeCommands: every command line that the README shows has a command and
// flags that there are.
func TestReadmeCommands(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^    cvvsim (.*)$`).FindAllStringSubmatch(readFile(t, "../../README.md"), -1)
	if len(lines) < 8 {
		t.Errorf("%d command lines in the README: are they indented otherwise?", len(lines))
	}
	for _, line := range lines {
		words, _, _ := strings.Cut(line[1], "#")
		if status, out, errs := call("", append(strings.Fields(words), "--help")...); status != exitDone || !strings.Contains(out, "Usage:") {
			t.Errorf("cvvsim %s: status %d, %s", words, status, errs)
		}
	}
}
