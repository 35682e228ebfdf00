package draw_test

import (
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// historyStep is a step whose sentence is its record's.
func historyStep(t *testing.T) sim.Step {
	t.Helper()
	at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	s := must.Get(sim.NewReplay(rotation.Rules{}).Apply(timeline.Entry{Card: "a<b", Event: rotation.SetInterval(at, 24*time.Hour)}))(t)
	s.Sentence = `next rotation repaired <"&'>`
	return s
}

func TestNewFigure_HasLinksAndNothingThatAPolicyRefuses(t *testing.T) {
	f := must.Get(draw.NewFigure(draw.Section{Steps: []sim.Step{historyStep(t)}}))(t)
	for _, want := range []string{`id="mark-1"`, `href="#event-1"`, "next rotation repaired &lt;&#34;&amp;&#39;&gt;", "a&lt;b"} {
		if !strings.Contains(string(f.Picture), want) {
			t.Errorf("no %s in\n%s", want, f.Picture)
		}
	}
	if len(f.Key) < 5 || !strings.HasPrefix(f.Summary, "1 event of 1 card") || !strings.Contains(f.Guard, "2m") {
		t.Errorf("%d samples, %q, %q", len(f.Key), f.Summary, f.Guard)
	}
	all := string(f.Picture)
	for _, k := range f.Key {
		all += string(k.Sample)
	}
	for _, never := range []string{"style=", "<style", "<script", "onload", "a<b"} {
		if strings.Contains(all, never) {
			t.Errorf("the figure has %q", never)
		}
	}
	_, err := draw.NewFigure(draw.Section{Steps: make([]sim.Step, draw.MaxEvents+1)})
	if err == nil || strings.Count(err.Error(), "draw:") != 1 {
		t.Error(err)
	}
}

func TestStep_SentenceReplacesThatOfTheRules(t *testing.T) {
	section := draw.Section{Steps: []sim.Step{historyStep(t)}}
	report := draw.Report{Title: "t", Sections: []draw.Section{section}}
	for name, write := range map[string]func(*strings.Builder) error{
		"svg":  func(b *strings.Builder) error { return draw.SVG(b, report) },
		"html": func(b *strings.Builder) error { return draw.HTML(b, report) },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			must.Do(t, write(&b))
			if !strings.Contains(b.String(), "next rotation repaired") || strings.Contains(b.String(), "interval set to 24h: new schedule") {
				t.Error(b.String())
			}
		})
	}
}
