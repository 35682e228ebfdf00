package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// TestVerify_NamesTheFaultyCards: cvvsim verify finds just the faulty cards of
// generated logs, each with its first wrong line and with what it looks like, in
// bounded memory. The logs come from package model, which shares nothing with the
// rules that verify applies.
func TestVerify_NamesTheFaultyCards(t *testing.T) {
	dir := t.TempDir()
	cvvsim := filepath.Join(dir, "cvvsim")
	if out, err := exec.Command("go", "build", "-o", cvvsim, "cvvrotation/cmd/cvvsim").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	formats := make(map[string]bool)
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			truth := must.Get(write(dir, seed, 500))(t)
			if len(truth.Cards) != 3 {
				t.Errorf("%d faulty cards, want 3", len(truth.Cards))
			}
			formats[filepath.Ext(truth.File)] = true
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(cvvsim, append(append([]string{"verify", "-o", "json"}, truth.Flags...), filepath.Join(dir, truth.File))...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
				t.Fatalf("status %v, want 1: %s", err, &stderr)
			}
			// Linux counts what this process, which may be larger, had when it forked.
			var self syscall.Rusage
			must.Do(t, syscall.Getrusage(syscall.RUSAGE_SELF, &self))
			if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" && usage.Maxrss > max(200<<10, self.Maxrss) {
				t.Errorf("%d MB of memory, want up to 200", usage.Maxrss>>10)
			}
			var got struct {
				Cards []struct {
					Card  string
					First struct {
						Line int
						At   time.Time
					}
					LooksLike string `json:"looks_like"`
				}
			}
			must.Do(t, json.Unmarshal(stdout.Bytes(), &got))
			var found []Faulty
			for _, c := range got.Cards {
				found = append(found, Faulty{c.Card, c.First.Line, c.First.At, c.LooksLike})
			}
			if !slices.Equal(found, truth.Cards) {
				t.Errorf("%s: found\n%v, want\n%v\n%s", truth.File, found, truth.Cards, &stderr)
			}
		})
	}
	if len(formats) < 3 {
		t.Errorf("the seeds have only the formats %v", formats)
	}
}

func TestRun_PrintsTheTruth(t *testing.T) {
	var stdout, stderr bytes.Buffer
	dir := t.TempDir()
	if status := run([]string{"-seed", "3", "-cards", "30", "-dir", dir}, &stdout, &stderr); status != 0 || bytes.Count(stdout.Bytes(), []byte("\n")) != 4 {
		t.Errorf("status %d, printed %s%s", status, &stdout, &stderr)
	}
	if entries := must.Get(os.ReadDir(dir))(t); len(entries) != 2 {
		t.Errorf("files %v, want a log and its truth", entries)
	}
	if status := run([]string{"-dir", dir + "/none"}, &stdout, &stderr); status != 1 {
		t.Errorf("status %d for a folder that does not exist, want 1", status)
	}
}
