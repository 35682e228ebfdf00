package status

import (
	"fmt"
	"strconv"
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/telemetry"
)

// What is worth a person's attention.
const (
	lateBacklog = time.Minute
	lateEvents  = time.Minute
)

// view is what the page shows.
type view struct {
	Version string
	Uptime  time.Duration
	Refresh int // seconds
	Now     time.Time
	Cards   string // how many are registered, in words; "": not known
	Down    bool   // the store does not answer
	Notes   []note
	Tiles   []tile
	Past    *chart
	Next    *chart
	Failing []failingCard
	More    int64 // failing cards that are not listed
}

// note is a sentence at the top.
type note struct {
	Bad  bool // else worth attention
	Text string
}

// tile is one figure.
type tile struct {
	Label, Value, Detail string
	Attention            bool
}

type failingCard struct {
	ID       string
	Failures int
	Failure  string
	Again    time.Time     // the next try
	In       time.Duration // until then; 0: now
}

func (v *view) warn(format string, args ...any) {
	v.Notes = append(v.Notes, note{Text: fmt.Sprintf(format, args...)})
}

func (v *view) addRecent(h telemetry.Hour) {
	rotations := tile{Label: "Rotations, last hour", Value: number(h.Total), Detail: number(h.Automatic) + " automatic, " + number(h.Total-h.Automatic) + " forced"}
	late := tile{Label: "Lateness, last hour", Value: "–", Detail: "no automatic rotation"}
	if h.Automatic > 0 {
		late.Value, late.Detail = duration(h.P99), "99 of 100 within; half within "+duration(h.P50)
	}
	v.Tiles = append(v.Tiles, rotations, late)
	v.Past = newChart(h.PerMinute[:], func(i int) string { return ago(len(h.PerMinute) - 1 - i) })
}

func (v *view) addRelay(s outbox.State, now time.Time) {
	if !s.Down.IsZero() {
		v.Notes = append(v.Notes, note{Bad: true, Text: fmt.Sprintf("The sink of events has taken nothing for %s: %s", duration(now.Sub(s.Down)), s.Failure)})
	}
}

func (v *view) addStats(s store.Stats) {
	backlog := tile{Label: "Due now", Value: number(s.Backlog), Detail: "nothing waits"}
	if s.Backlog > 0 {
		late := max(v.Now.Sub(s.OldestDue), 0)
		backlog.Detail = "the oldest for " + duration(late)
		if late > lateBacklog {
			backlog.Attention = true
			v.warn("%s due, the oldest for %s: automatic rotations are not kept up with.", many(s.Backlog, "card is", "cards are"), duration(late))
		}
	}
	fails := tile{Label: "Failing cards", Value: number(s.Failing), Detail: "none fails", Attention: s.Failing > 0}
	if s.Failing > 0 {
		fails.Detail = "tried again, see below"
	}
	events := tile{Label: "Events waiting", Value: number(s.Waiting), Detail: "all are delivered"}
	if s.Waiting > 0 {
		late := max(v.Now.Sub(s.OldestWaiting), 0)
		events.Detail = "the oldest for " + duration(late)
		if late > lateEvents {
			events.Attention = true
			v.warn("%s, the oldest for %s: the sink does not keep up, or there is none.", many(s.Waiting, "event waits", "events wait"), duration(late))
		}
	}
	parked := tile{Label: "Events parked", Value: number(s.Parked), Detail: "none given up", Attention: s.Parked > 0}
	if s.Parked > 0 {
		parked.Detail = "cvvd events replay"
		v.warn("%s given up, which subscribers do not know of until a replay.", many(s.Parked, "event was", "events were"))
	}
	v.Tiles = append([]tile{backlog}, append(v.Tiles, fails, events, parked)...)
	v.Cards = many(s.Cards, "card", "cards")
	v.More = s.Failing
}

func (v *view) addForecast(counts []int64) {
	v.Next = newChart(counts, func(i int) string {
		if i == 0 {
			return "within the next minute"
		}
		return fmt.Sprintf("in %d min", i)
	})
}

func (v *view) addFailing(cards []store.Card) {
	for _, c := range cards {
		v.Failing = append(v.Failing, failingCard{c.ID, c.Failures, c.Failure, c.Due, max(c.Due.Sub(v.Now), 0)})
	}
	v.More = max(v.More-int64(len(cards)), 0)
}

func ago(minutes int) string {
	if minutes == 0 {
		return "this minute"
	}
	return fmt.Sprintf("%d min ago", minutes)
}

// chart is bars of one hour, a minute each.
type chart struct {
	Bars  []bar
	Total int64
	Max   int64
	Peak  string // when the largest one is; "" when all are empty
}

type bar struct {
	X      int
	Y, H   float64 // of 100
	Minute string
	Count  int64
}

func newChart(counts []int64, minute func(int) string) *chart {
	c := &chart{}
	for i, n := range counts {
		c.Total += n
		if n > c.Max {
			c.Max, c.Peak = n, minute(i)
		}
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		h := max(100*float64(n)/float64(c.Max), 1.5) // that one is seen beside a thousand
		c.Bars = append(c.Bars, bar{X: i * 10, Y: 100 - h, H: h, Minute: minute(i), Count: n})
	}
	return c
}

// many writes n with the words for one or for several.
func many(n int64, one, several string) string {
	if n == 1 {
		several = one
	}
	return number(n) + " " + several
}

// number writes n with a narrow space between thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// duration writes d with two digits or two units, as people say it.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d\u202fms", (d+time.Millisecond/2)/time.Millisecond)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u202fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d\u202fs", int(d.Seconds()))
	case d < time.Hour:
		return units(int(d/time.Second), 60, "min", "s")
	case d < 24*time.Hour:
		return units(int(d/time.Minute), 60, "h", "min")
	}
	return units(int(d/time.Hour), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	s := fmt.Sprintf("%d\u202f%s", n/per, large)
	if n%per > 0 {
		s += fmt.Sprintf(" %d\u202f%s", n%per, small)
	}
	return s
}
