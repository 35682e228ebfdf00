package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/check/enginecheck"
	"cvvrotation/sim/must"
)

const minRuns, minReplicas = 20, 10

func finished(t *testing.T, r *Report) string {
	t.Helper()
	r.Finish(context.Background())
	var text, object bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Error(err)
	}
	if err := r.WriteJSON(&object); err != nil || !json.Valid(object.Bytes()) {
		t.Errorf("JSON: %v\n%s", err, object.String())
	}
	return text.String()
}

type fullDisk struct{ error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.error }

func TestWrite_ReturnsTheWritersError(t *testing.T) {
	r := New(Options{})
	r.Finish(t.Context())
	full := fullDisk{errors.New("no space left on device")}
	for name, write := range map[string]func(io.Writer) error{"text": r.WriteText, "JSON": r.WriteJSON, "HTML": r.WriteHTML} {
		t.Run(name, func(t *testing.T) {
			if err := write(full); !errors.Is(err, full.error) {
				t.Errorf("got %v, want %v", err, full.error)
			}
		})
	}
}

// A failure's files are in the report where they cannot be written.
func TestFinish_FailureIsNeverLost(t *testing.T) {
	bug, _ := check.FindBug("drift")
	found := check.Campaign(bug.System(), bug).Run(t.Context(), campaign.Options{First: 1, Last: 100})
	full := errors.New("no space left on device")
	for _, test := range []struct {
		name   string
		write  func(string, []byte) error
		inline bool
		why    string
	}{
		{"written", func(string, []byte) error { return nil }, false, ""},
		{"full disk", func(string, []byte) error { return full }, true, "no space left on device"},
		{"no file wanted", nil, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := New(Options{Bug: "drift", Dir: "folder", GoTest: true, Write: test.write})
			r.AddCampaign(found)
			text := finished(t, r)
			var page bytes.Buffer
			must.Do(t, r.WriteHTML(&page))
			for _, out := range []string{text, page.String()} {
				if strings.Contains(out, "Found by: cvvsim check --bug drift") != test.inline || strings.Contains(out, "func TestFound") != test.inline {
					t.Errorf("timeline or Go test: inline is not %t in\n%s", test.inline, out)
				}
				if strings.Contains(out, "folder/check-drift-phase-kept.timeline") == test.inline || !strings.Contains(out, test.why) {
					t.Errorf("no path, or not %q, in\n%s", test.why, out)
				}
			}
			if r.Result != ResultBroken {
				t.Errorf("result %s", r.Result)
			}
		})
	}
}

func TestReplay_CountsWhatPackageRotationDecidesOtherwise(t *testing.T) {
	for _, test := range []struct {
		name, events     string
		steps, differing int
	}{
		{"right", "2026-11-22T15:00:00Z A forced => rotate=true\n+1m A auto => rotate=false", 2, 0},
		{"differs", "2026-11-22T15:00:00Z A forced => rotate=false\n+1m A auto => rotate=false", 2, 1},
		{"of other rules", "rules guard=0s\n2026-11-22T15:00:00Z A set_interval interval=1m\n+0s A forced => reason=scheduled", 2, 0},
		{"refused", "2026-11-22T15:00:00Z A forced => rotate=true\n+1m A set_interval interval=1m => rotate=false", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, steps, differing := replay(test.events); len(steps) != test.steps || differing != test.differing {
				t.Errorf("%d steps, %d differing, want %d and %d", len(steps), differing, test.steps, test.differing)
			}
		})
	}
}

func TestFinish_DecidesTheResult(t *testing.T) {
	met := []campaign.Goal{{Sentence: "met", Met: 3}}
	unmet := append(met, campaign.Goal{Sentence: "a blue moon"})
	for _, test := range []struct {
		name   string
		cards  campaign.Result[check.Failure]
		result Result
		text   string
	}{
		{"all goals met", campaign.Result[check.Failure]{Runs: minRuns, Coverage: met}, ResultPassed, "passed\n"},
		{"a goal unmet", campaign.Result[check.Failure]{Runs: minRuns, Coverage: unmet}, ResultUnmet, "coverage goals:\n  a blue moon\n"},
		{"a goal unmet by too few runs", campaign.Result[check.Failure]{Runs: minRuns - 1, Coverage: unmet}, ResultPassed, "1 of 2 goals met"},
		{"a run that differs", campaign.Result[check.Failure]{Runs: 1, Unstable: &campaign.Unstable{Seed: 7, First: 1, Second: 2}}, ResultUnstable, "cvvsim check --doublecheck --seeds 7\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := New(Options{Workers: 1, MinRuns: minRuns})
			r.AddCampaign(test.cards)
			if text := finished(t, r); r.Result != test.result || !strings.Contains(text, test.text) {
				t.Errorf("result %s, want %s: %s", r.Result, test.result, text)
			}
		})
	}
}

func TestFinish_CountsGoalsOfReplicas(t *testing.T) {
	for _, test := range []struct {
		name   string
		runs   int64
		result Result
		text   string
	}{
		{"enough runs", minReplicas, ResultUnmet, "coverage goals:\n  a blue moon\n"},
		{"too few runs", minReplicas - 1, ResultPassed, "passed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := New(Options{System: "engine", Workers: 1, MinRuns: minRuns, MinReplicas: minReplicas})
			r.AddCampaign(campaign.Result[check.Failure]{Runs: minRuns, Coverage: []campaign.Goal{{Sentence: "met", Met: 3}}})
			r.AddReplicas(campaign.Result[enginecheck.Failure]{
				Runs: test.runs, Coverage: []campaign.Goal{{Sentence: "met", Met: 1}, {Sentence: "a blue moon"}},
			})
			if text := finished(t, r); r.Result != test.result || !strings.Contains(text, test.text) {
				t.Errorf("result %s, want %s: %s", r.Result, test.result, text)
			}
		})
	}
}
