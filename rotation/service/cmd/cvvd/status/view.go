package status

import (
	"fmt"
	"slices"
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/telemetry"
)

// view holds what the page shows.
type view struct {
	Version   string
	Replica   string
	Relay     string // what this replica's relay does; "": it has none
	CardPages bool   // there are pages of single cards
	Uptime    time.Duration
	Refresh   int // seconds
	Now       time.Time
	Cards     string // number of registered cards, such as "1 card"; "" if not known
	Down      bool   // the store does not respond
	Problems  []problem
	Tiles     []tile
	Past      *chart
	Next      *chart
	Failing   []failingCard
	More      int64 // failing cards beyond those listed
}

// problem is a condition that holds.
type problem struct {
	condition.Holding
	For time.Duration // since when it has held
}

// Status returns the overall status: its class of style, one word and a sentence.
func (v *view) Status() (s struct{ Class, Word, Text string }) {
	severe, ready := v.Down, true
	for _, p := range v.Problems {
		severe = severe || p.Severity == condition.Page
		ready = ready && !p.NotReady
	}
	held := many(int64(len(v.Problems)), "condition holds.", "conditions hold.")
	switch {
	case !ready:
		s.Word, s.Text = "Not ready", "/readyz is 503, so that load balancers avoid this replica: "+held
	case len(v.Problems) > 0:
		s.Word, s.Text = "Degraded", held
	case v.Down:
		s.Word, s.Text = "Unknown", "The store did not answer this page. See the log."
	default:
		s.Word, s.Text = "OK", "Nothing needs attention."
	}
	s.Class = "ok"
	if severe {
		s.Class = "severe"
	} else if len(v.Problems) > 0 {
		s.Class = "warning"
	}
	return s
}

// tile is one figure with its label.
type tile struct {
	Label, Value, Detail string
	Attention            bool
}

type failingCard struct {
	ID       string
	Failures int
	Failure  string
	Retry    time.Time     // next attempt
	In       time.Duration // time until then; 0: now
}

func (v *view) addConditions(holding []condition.Holding, now time.Time) {
	for _, h := range holding {
		v.Problems = append(v.Problems, problem{h, max(now.Sub(h.Since), 0)})
	}
}

func (v *view) addRecent(h telemetry.Hour) {
	rotations := tile{Label: "Rotations, last hour", Value: number(h.Total), Detail: number(h.Automatic) + " automatic, " + number(h.Total-h.Automatic) + " forced"}
	late := tile{Label: "Lateness, last hour", Value: "–", Detail: "no automatic rotation in the last hour"}
	if h.Automatic > 0 {
		late.Value, late.Detail = duration(h.P99), "99th percentile; median "+duration(h.P50)
	}
	v.Tiles = append(v.Tiles, rotations, late)
	v.Past = newChart(h.PerMinute[:], func(i int) string { return ago(len(h.PerMinute) - 1 - i) })
}

// relaying says what this replica's relay does.
func relaying(s outbox.State, holder string, now time.Time) string {
	switch {
	case !s.HasLease && holder == "":
		return "No replica has reported lately that it holds the outbox lease."
	case !s.HasLease:
		return "The replica " + holder + " holds the outbox lease and delivers the events."
	case s.Down.IsZero():
		return "This replica holds the outbox lease and delivers the events."
	}
	return "This replica holds the outbox lease. The sink has accepted nothing for " + duration(now.Sub(s.Down)) + "."
}

// holds reports whether a condition of the names holds.
func (v *view) holds(names ...string) bool {
	return slices.ContainsFunc(v.Problems, func(p problem) bool { return slices.Contains(names, p.Name) })
}

func (v *view) addStats(s store.Stats) {
	backlog := tile{Label: "Due now", Value: number(s.Backlog), Detail: "no backlog", Attention: v.holds("rotations_late")}
	if s.Backlog > 0 {
		backlog.Detail = "oldest for " + duration(max(v.Now.Sub(s.OldestDue), 0))
	}
	fails := tile{Label: "Failing cards", Value: number(s.Failing), Detail: "none", Attention: s.Failing > 0}
	if s.Failing > 0 {
		fails.Detail = "retried, see below"
	}
	events := tile{Label: "Undelivered events", Value: number(s.Waiting), Detail: "all are delivered", Attention: v.holds("events_late", "sink_down")}
	if s.Waiting > 0 {
		events.Detail = "oldest for " + duration(max(v.Now.Sub(s.OldestWaiting), 0))
	}
	parked := tile{Label: "Parked events", Value: number(s.Parked), Detail: "none", Attention: s.Parked > 0}
	if s.Parked > 0 {
		parked.Detail = "dead-lettered"
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
