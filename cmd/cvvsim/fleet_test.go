package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A forecast that is interrupted says so, prints nothing and leaves no file.
func TestFleet_InterruptLeavesNoPartialFile(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"fleet", "--cards", "10", "--write-timeline", filepath.Join(dir, "x.jsonl")}, strings.NewReader(""), &out, &errs)
	if status != exitBadInput || out.Len() > 0 || errs.String() != "error: interrupted; nothing was written\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out.String(), errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFleet_FullDiskIsAnError(t *testing.T) {
	for _, output := range fleetOutputs {
		var errs bytes.Buffer
		status := run(context.Background(), []string{"fleet", "--cards", "10", "-o", output}, strings.NewReader(""), fullDisk{}, &errs)
		if status != exitBadInput || !strings.Contains(errs.String(), "disk full") {
			t.Errorf("-o %s: status %d, stderr %q on a full disk", output, status, errs.String())
		}
	}
}
