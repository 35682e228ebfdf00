package fleet

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// report is a forecast in words and numbers, for both the text and the page.
type report struct {
	Title   string
	About   []string // what was forecast
	Answers []answer
	Table   []row
}

// answer is a question's answer, in short and in full.
type answer struct {
	Label, Value, Note string
}

// row is a line of the table; a part is indented.
type row struct {
	Label string
	Count int64
	Share float64 // of all rotations; negative: not one of them
	Part  bool
}

func newReport(f *Forecast) report {
	c := f.Options
	r := report{Title: fmt.Sprintf("%s for %s", plural(f.Cards, "card"), plural(int64(f.Days), "day"))}

	every := make([]string, len(f.Intervals))
	for i, v := range f.Intervals {
		every[i] = v.Interval
		if len(f.Intervals) > 1 {
			every[i] = fmt.Sprintf("%s (%s)", v.Interval, plural(v.Cards, "card"))
		}
	}
	r.About = append(r.About, fmt.Sprintf("from %s to %s, guard %s, seed %d", instant(f.Start), instant(f.End), f.Guard, f.Seed))
	enrolled := "all enrolled at one instant"
	if c.Spread > 0 {
		enrolled = "first slots spread over " + short(c.Spread)
	}
	r.About = append(r.About, "rotating every "+strings.Join(every, ", ")+"; "+enrolled)
	if c.Forced.PerDay > 0 {
		kind := "at random"
		if c.Forced.Steady {
			kind = "at equal distances"
		}
		r.About = append(r.About, fmt.Sprintf("forced %g times per card and day, %s", c.Forced.PerDay, kind))
	}
	if c.Burst.Ratio > 0 {
		r.About = append(r.About, fmt.Sprintf("a burst forces %s of the cards within %s from %s", percent(c.Burst.Ratio), short(c.Burst.Within), instant(f.Start.Add(c.Burst.At))))
	}
	if c.Outage.For > 0 {
		r.About = append(r.About, fmt.Sprintf("an outage of %s from %s", short(c.Outage.For), instant(f.Start.Add(c.Outage.From))))
	}
	if c.Capacity > 0 {
		r.About = append(r.About, fmt.Sprintf("at most %s a second", plural(c.Capacity, "rotation")))
	}

	r.answerObjective(f)
	r.answerLoad(f)
	r.answerBacklog(f)
	r.answerSpread(f)
	r.Answers = append(r.Answers, answer{
		"Held by the guard", percent(f.HeldRatio) + " of rotations",
		fmt.Sprintf("%s got no new schedule; %s did", count(f.Held), count(f.Scheduled)),
	})

	share := func(n int64) float64 {
		if f.Rotations == 0 {
			return 0
		}
		return float64(n) / float64(f.Rotations)
	}
	add := func(part bool, label string, n int64) { r.Table = append(r.Table, row{label, n, share(n), part}) }
	add(false, "Rotations", f.Rotations)
	add(true, "automatic", f.Automatic)
	add(true, "forced", f.Forced)
	add(false, "Got a new schedule", f.Scheduled)
	add(true, "automatic", f.Reasons.Scheduled.Automatic)
	add(true, "forced", f.Reasons.Scheduled.Forced)
	add(false, "Held by the guard", f.Held)
	add(true, "scenario 1: forced after automatic", f.Scenario["1"])
	add(true, "scenario 2: automatic after forced", f.Scenario["2"])
	add(true, "scenario 3: forced after forced", f.Scenario["3"])
	add(true, "after enrolment or a late rotation", f.Held-f.Scenario["1"]-f.Scenario["2"]-f.Scenario["3"])
	r.Table = append(r.Table, row{"Slots missed", f.Missed, -1, false})
	return r
}

func (r *report) answerLoad(f *Forecast) {
	if m := f.PerMinute; m != nil {
		r.Answers = append(r.Answers, answer{
			"Peak minute", plural(m.Max, "rotation"), "first in the minute from " + instant(m.MaxAt),
		})
	}
	if s := f.PerSecond; s != nil {
		r.Answers = append(r.Answers, answer{
			"Peak second", plural(s.Max, "rotation"),
			fmt.Sprintf("first at %s; median %s, 99 %% of seconds at most %s, mean %s", seconds(s.MaxAt), count(s.P50), count(s.P99), decimal(s.Mean)),
		})
	}
	if m := f.PerMinute; m != nil {
		r.Answers = append(r.Answers, answer{
			"Mean minute", decimal(m.Mean) + " rotations",
			fmt.Sprintf("median %s, 99 %% of minutes at most %s", count(m.P50), count(m.P99)),
		})
	}
}

func (r *report) answerBacklog(f *Forecast) {
	b := f.Backlog
	switch {
	case b == nil:
		return
	case b.Max == 0:
		r.Answers = append(r.Answers, answer{"Backlog", "none", "every card rotates in the second of its slot"})
		return
	}
	cleared := "not cleared by the end"
	if b.Cleared != nil {
		cleared = fmt.Sprintf("cleared at %s, %s later", seconds(*b.Cleared), short(b.Cleared.Sub(*b.MaxAt)))
	}
	r.Answers = append(r.Answers, answer{"Backlog", plural(b.Max, "card"), fmt.Sprintf("most at %s; %s", seconds(*b.MaxAt), cleared)})
	if f.Options.Outage.For > 0 {
		a := answer{"After the outage", plural(b.Outage, "card"), "overdue when it ends; not cleared by the end"}
		if b.OutageCleared != nil {
			back := f.Start.Add(f.Options.Outage.From + f.Options.Outage.For)
			a.Note = fmt.Sprintf("overdue when it ends; cleared at %s, %s later", seconds(*b.OutageCleared), short(max(b.OutageCleared.Sub(back), 0)))
		}
		r.Answers = append(r.Answers, a)
	}
	r.Answers = append(r.Answers,
		answer{"Late", plural(b.Delayed, "rotation"), "the latest by " + wait(b.Longest)},
		answer{"Lateness", "99 % within " + late(b.Lateness.P99), fmt.Sprintf("50 %% within %s, 90 %% within %s, 99.9 %% within %s after the slot, rounded up to seconds", late(b.Lateness.P50), late(b.Lateness.P90), late(b.Lateness.P999))},
	)
}

// answerObjective names the capacity that was looked for.
func (r *report) answerObjective(f *Forecast) {
	if o := f.Objective; o != nil {
		r.Answers = append(r.Answers, answer{
			"Capacity needed", count(o.Capacity) + " a second",
			fmt.Sprintf("%s of automatic rotations within %s after the slot; at it, %s are", percent(o.Ratio), o.Spelled, percent(o.Achieved)),
		})
	}
}

// answerSpread compares the peaks, or with a capacity, which cuts those, the
// most that wait.
func (r *report) answerSpread(f *Forecast) {
	if f.Spread == nil {
		return
	}
	what, same, ours, other := "the peak %s a minute", "the peak is %s a minute", f.PerMinute.Max, f.Spread.PerMinuteMax
	if f.Options.Capacity > 0 {
		what, same, ours, other = "%s wait at most", "%s wait at most", f.Backlog.Max, *f.Spread.BacklogMax
	}
	window, verb, with, without := "each card's interval", "would make", other, ours
	if f.Options.Spread > 0 {
		window, verb, with, without = short(f.Options.Spread), "makes", ours, other
	}
	a := answer{"Spread", "saves nothing", fmt.Sprintf("spreading first slots over %s %s "+what+" instead of %s", window, verb, count(with), count(without))}
	switch less := float64(without-with) / float64(without); {
	case less > 0:
		a.Value = "saves " + percent(less)
	case with > without && without > 0:
		a.Value = "costs " + percent(-less)
	case with > without:
		a.Value = "costs"
	default:
		a.Note = fmt.Sprintf("spreading first slots over %s or not, "+same, window, count(with))
	}
	r.Answers = append(r.Answers, a)
}

func instant(t time.Time) string { return t.Format("2006-01-02 15:04 UTC") }

func seconds(t time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") }

// wait spells a number of seconds as a duration, to the millisecond.
func wait(s float64) string {
	return short(time.Duration(s * float64(time.Second)).Round(time.Millisecond))
}

// late spells a whole number of seconds as a duration.
func late(seconds int64) string { return short(time.Duration(seconds) * time.Second) }

// count writes a number in groups of three digits.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// decimal writes a number with as many decimals as its size leaves of interest.
func decimal(x float64) string {
	if x >= 100 {
		return count(int64(math.Round(x)))
	}
	return fmt.Sprintf("%.3g", x)
}

// percent writes a share; only what is exactly none or all is 0 % or 100 %.
func percent(share float64) string {
	switch p := 100 * share; {
	case share == 0 || share == 1:
		return fmt.Sprintf("%.0f %%", p)
	case p < 0.01:
		return "under 0.01 %"
	case p > 99.99:
		return "over 99.99 %"
	case p < 1 || p > 99:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// span is the load in a while: the mean and the most rotations a minute.
type span struct {
	From   time.Duration // since the start, or since midnight
	Mean   float64       // of both kinds
	Forced float64       // the mean of forced calls alone
	Max    int64
}

// overTime divides the forecast into at most n spans of equal whole minutes,
// which days are multiples of or which are multiples of days. The instant of
// the end belongs to the last one.
func (f *Forecast) overTime(n int) (spans []span, width time.Duration) {
	minutes := len(f.AutomaticByMinute) - 1
	per := 1
	for _, wider := range []int{2, 5, 10, 20, 30, 60, 120, 180, 240, 360, 720, 1440} {
		if per*n < minutes {
			per = wider
		}
	}
	for per*n < minutes {
		per += 1440
	}
	for i := 0; i < minutes; i += per {
		spans = append(spans, span{From: time.Duration(i) * time.Minute})
	}
	for m := range f.AutomaticByMinute {
		i := min(m/per, len(spans)-1)
		spans[i].add(f, m, float64(min(per, minutes-i*per)))
	}
	return spans, time.Duration(per) * time.Minute
}

// overDay folds the forecast into n spans of one day, from midnight UTC. The
// instant of the end is left out, as it would be the first of another day.
func (f *Forecast) overDay(n int) []span {
	spans := make([]span, n)
	for i := range spans {
		spans[i].From = time.Duration(i) * 24 * time.Hour / time.Duration(n)
	}
	first := f.Start.Hour()*60 + f.Start.Minute()
	for m := range len(f.AutomaticByMinute) - 1 {
		i := (first + m) % 1440 * n / 1440
		spans[i].add(f, m, float64(f.Days*1440/n))
	}
	return spans
}

// add counts minute m for a span of so many minutes.
func (s *span) add(f *Forecast, m int, minutes float64) {
	automatic, forced := f.AutomaticByMinute[m], f.ForcedByMinute[m]
	s.Forced += float64(forced) / minutes
	s.Mean += float64(automatic+forced) / minutes
	s.Max = max(s.Max, automatic+forced)
}
