package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

var update = flag.Bool("update", false, "write the README's picture; review the difference")

func readFile(t *testing.T, name string) string {
	t.Helper()
	b := must.Get(os.ReadFile(name))(t)
	return string(b)
}

func TestDocs_ExampleTimelinesHold(t *testing.T) {
	for _, name := range []string{"example.timeline", "example.jsonl"} {
		t.Run(name, func(t *testing.T) {
			if status, out, errs := call("", "verify", "../../docs/"+name); status != exitDone || !strings.HasPrefix(out, "3 events, 1 judged") {
				t.Errorf("status %d: %s%s", status, out, errs)
			}
		})
	}
}

func TestDocs_PictureIsWhatCvvsimDraws(t *testing.T) {
	const picture = "../../docs/overview.svg"
	status, svg, errs := call("", "replay", "-o", "svg",
		"--title", "CVV rotation: the schedule and the 2-minute guard", "../../sim/scenarios/overview.timeline")
	if status != exitDone {
		t.Fatalf("status %d: %s", status, errs)
	}
	if *update {
		must.Do(t, os.WriteFile(picture, []byte(svg), 0o644))
	}
	if readFile(t, picture) != svg {
		t.Errorf("%s is not what cvvsim draws: run make golden and look at it", picture)
	}
}

// Every command line in a document has a command and flags that exist.
func TestDocs_CommandLinesAreAccepted(t *testing.T) {
	pages := must.Get(filepath.Glob("../../docs/*.md"))(t)
	lines := 0
	for _, page := range append(pages, "../../README.md") {
		for _, m := range regexp.MustCompile(`(?m)^ {4,}(?:go run \./cmd/)?cvvsim ([^#|>\n]*)`).FindAllStringSubmatch(readFile(t, page), -1) {
			lines++
			if status, out, errs := call("", append(strings.Fields(m[1]), "--help")...); status != exitDone || !strings.Contains(out, "Usage:") {
				t.Errorf("%s: cvvsim %s: status %d, %s", page, m[1], status, errs)
			}
		}
	}
	if lines < 15 {
		t.Errorf("found only %d command lines", lines)
	}
}
