package fleet

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// WriteText writes the forecast for people: the answers first, then the load
// over the day and over time, then the counts.
func (f *Forecast) WriteText(w io.Writer) error {
	var b strings.Builder
	r := newReport(f)
	fmt.Fprintf(&b, "%s\n", r.Title)
	for _, line := range r.About {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintln(&b)
	values := 0
	for _, a := range r.Answers {
		values = max(values, len(a.Value))
	}
	for _, a := range r.Answers {
		fmt.Fprintf(&b, "%-17s  %-*s  %s\n", a.Label, values, a.Value, a.Note)
	}
	if f.AutomaticByMinute != nil {
		const columns = 72
		spans, width := f.overTime(columns)
		peaks := make([]float64, len(spans))
		for i, s := range spans {
			peaks[i] = float64(s.Max)
		}
		first, last := f.Start.Format(time.DateOnly), f.End.Format(time.DateOnly)
		fmt.Fprintf(&b, "\nBusiest minute in every %s; a full block is %s\n", short(width), decimal(slices.Max(peaks)))
		fmt.Fprintf(&b, "  %s\n  %-*s%s\n", spark(peaks), max(len(peaks)-len(last), len(first)+1), first, last)
		means := make([]float64, columns)
		for i, s := range f.overDay(columns) {
			means[i] = s.Mean
		}
		fmt.Fprintf(&b, "\nMean over the days, by time of day (UTC); a full block is %s a minute\n", decimal(slices.Max(means)))
		fmt.Fprintf(&b, "  %s\n  %s\n", spark(means), "00:00             06:00             12:00             18:00")
	}
	fmt.Fprintln(&b)
	for _, row := range r.Table {
		label := row.Label
		if row.Part {
			label = "  " + label
		}
		line := fmt.Sprintf("%-37s %15s", label, count(row.Count))
		if row.Share >= 0 {
			line += fmt.Sprintf("  %12s", percent(row.Share))
		}
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "\nExact, mode %v, computed in %s.\n", f.Mode, wait(f.ElapsedSeconds))
	_, err := io.WriteString(w, b.String())
	return err
}

// spark draws numbers, a character each. Only 0 is blank.
func spark(numbers []float64) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	top := slices.Max(numbers)
	line := make([]rune, len(numbers))
	for i, x := range numbers {
		line[i] = ' '
		if x > 0 {
			line[i] = blocks[min(int(x/top*float64(len(blocks))), len(blocks)-1)]
		}
	}
	return string(line)
}
