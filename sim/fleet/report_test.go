package fleet

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/sim/must"
)

// TestReports_TextAndPageShowTheSameNumbers: whatever the forecast, its three forms are whole and hold no
// number that isn't one.
func TestReports_TextAndPageShowTheSameNumbers(t *testing.T) {
	t.Parallel()
	notNumbers := regexp.MustCompile(`NaN|Inf|%!|e\+[0-9]{2}`)
	rapid.Check(t, func(t *rapid.T) {
		c := withFaults(t, small(t))
		c.Start = DefaultStart.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "start")) * time.Minute)
		c.Detail = rapid.SampledFrom([]Detail{DetailMinutes, DetailSeconds, DetailTotals}).Draw(t, "detail")
		f := mustRun(t, c)
		var text, html strings.Builder
		must.Do(t, f.WriteText(&text))
		must.Do(t, f.WriteHTML(&html))
		object := must.Get(json.Marshal(f))(t)
		for _, form := range []string{text.String(), html.String(), string(object)} {
			if bad := notNumbers.FindString(form); bad != "" {
				t.Errorf("%s in\n%s", bad, form)
			}
		}
		// Each picture is well-formed.
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html.String(), -1) {
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%v in %s", err, svg)
				}
			}
		}
	})
}

// TestSpans_CoverEveryMinuteOnce: however the load is divided, it is all there.
func TestSpans_CoverEveryMinuteOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := small(t)
		c.Start = DefaultStart.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "start")) * time.Minute)
		f := mustRun(t, c)
		at := len(f.AutomaticByMinute) - 1
		end := f.AutomaticByMinute[at] + f.ForcedByMinute[at]

		n := rapid.IntRange(1, 1000).Draw(t, "spans")
		spans, width := f.overTime(n)
		total := 0.0
		for _, s := range spans {
			lasts := min(width, time.Duration(c.Days)*24*time.Hour-s.From)
			total += s.Mean * lasts.Minutes()
		}
		if len(spans) > n || math.Round(total) != float64(f.Rotations) {
			t.Errorf("%d of %d spans of %v hold %v rotations of %d", len(spans), n, width, total, f.Rotations)
		}
		total = 0
		for _, s := range f.overDay(144) {
			total += s.Mean * 10 * float64(c.Days)
		}
		if math.Round(total) != float64(f.Rotations-end) {
			t.Errorf("the day holds %v rotations of %d", total, f.Rotations-end)
		}
	})
}

func TestCounts_ReadableForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-123456), "-123,456"}, {count(7_200_000_000), "7,200,000,000"},
		{plural(1, "card"), "1 card"}, {plural(2000, "card"), "2,000 cards"},
		{percent(0), "0 %"}, {percent(1), "100 %"}, {percent(1e-9), "under 0.01 %"}, {percent(1 - 1e-9), "over 99.99 %"},
		{percent(0.5), "50.0 %"}, {percent(0.004), "0.40 %"}, {percent(0.9992), "99.92 %"},
		{decimal(0), "0"}, {decimal(0.01234), "0.0123"}, {decimal(16.666), "16.7"}, {decimal(1234.5), "1,235"},
		{wait(9), "9s"}, {wait(0.0004), "0s"}, {wait(19799.999), "5h29m59.999s"},
		{short10(0), "0"}, {short10(2500), "2,500"}, {short10(12000), "12 k"}, {short10(7.5e6), "7.5 M"},
		{spark([]float64{0, 1, 50, 100}), " ▁▅█"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestReport_DescribesWhatSpreadingSaves: what spreading saves, from both sides, at the peak and,
// with a capacity, in the backlog.
func TestReport_DescribesWhatSpreadingSaves(t *testing.T) {
	for _, tt := range []struct {
		c    fleet
		want string
	}{
		{fleet{1000, 2, Options{}}, "saves 99.40 %: spreading first slots over each card's interval would make the peak 6 a minute instead of 1,000"},
		{fleet{1000, 2, Options{Spread: 24 * time.Hour}}, "saves 99.40 %: spreading first slots over 24h makes the peak 6 a minute instead of 1,000"},
		{fleet{1000, 2, Options{Capacity: 1}}, "saves 99.90 %: spreading first slots over each card's interval would make 1 wait at most instead of 999"},
		{fleet{1000, 2, Options{Burst: Burst{time.Hour, 1, 1}}}, "saves nothing: spreading first slots over each card's interval or not, the peak is 1,000 a minute"},
	} {
		f := mustRun(t, tt.c)
		must.Do(t, CompareSpread(t.Context(), f))
		var r report
		r.answerSpread(f)
		if got := r.Answers[0].Value + ": " + r.Answers[0].Note; got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
