package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"cvvrotation/rotation"
)

// Forecast is what a fleet does. All counts are exact.
type Forecast struct {
	Options Options `json:"-"` // with defaults filled in

	Cards     int64      `json:"cards"`
	Days      int        `json:"days"`
	Start     time.Time  `json:"start"`
	End       time.Time  `json:"end"` // the last instant that counts
	Intervals []Interval `json:"intervals"`
	Guard     string     `json:"guard"` // as Go spells durations
	Seed      uint64     `json:"seed"`

	Rotations int64            `json:"rotations"` // of both kinds
	Automatic int64            `json:"automatic"`
	Forced    int64            `json:"forced"`
	Scheduled int64            `json:"scheduled"`  // rotations that got a new scheduling
	Held      int64            `json:"held"`       // rotations whose scheduling the guard held
	HeldRatio float64          `json:"held_share"` // of all rotations, 0 to 1
	Reasons   Reasons          `json:"reasons"`
	Scenario  map[string]int64 `json:"scenario"` // held rotations by scenario: "1", "2", "3"
	Missed    int64            `json:"missed"`   // slots skipped by late rotations (R17)

	PerMinute *Load    `json:"per_minute"` // nil when not counted
	PerSecond *Load    `json:"per_second"` // nil when not counted
	Backlog   *Backlog `json:"backlog"`    // nil without outage and capacity
	Spread    *Spread  `json:"spread"`     // nil unless CompareSpread was called

	Objective *Objective `json:"objective"` // nil unless FindCapacity was called

	Mode           Mode    `json:"mode"`
	ElapsedSeconds float64 `json:"elapsed_seconds"` // of real time that the forecast took

	// AutomaticByMinute and ForcedByMinute count rotations in each minute from
	// the start; the last element is the instant End alone. Nil when not
	// counted.
	AutomaticByMinute []int64 `json:"-"`
	ForcedByMinute    []int64 `json:"-"`
	// BacklogByMinute is the most that waited at the end of any second of each
	// minute. Nil when Backlog is.
	BacklogByMinute []int64 `json:"-"`

	records []record
}

// Interval is how many cards have an interval.
type Interval struct {
	Interval string `json:"interval"` // as Go spells durations
	Cards    int64  `json:"cards"`
}

// Reasons are rotations by reason and kind.
type Reasons struct {
	Scheduled Kinds `json:"scheduled"`
	Guard     Kinds `json:"guard"`
}

// Kinds are rotations by kind.
type Kinds struct {
	Automatic int64 `json:"automatic"`
	Forced    int64 `json:"forced"`
}

// Load says how many rotations there are in a unit of time.
type Load struct {
	Mean  float64   `json:"mean"`
	P50   int64     `json:"p50"` // in half of the units there are at most so many
	P99   int64     `json:"p99"` // in 99 of 100 units
	Max   int64     `json:"max"`
	MaxAt time.Time `json:"max_at"` // the beginning of the first unit with so many
}

// Backlog says how many cards are overdue: their slot has passed and their
// rotation is still to come. They are counted at the end of each second.
type Backlog struct {
	Max     int64      `json:"max"`
	MaxAt   *time.Time `json:"max_at"`     // the beginning of the first second that ends with so many; nil when none ever wait
	Cleared *time.Time `json:"cleared_at"` // the beginning of the first second after that that ends with none; nil when there is none up to the end
	Delayed int64      `json:"delayed"`    // automatic rotations after their slot

	// Outage is how many were overdue in the last second of the outage, and
	// OutageCleared the beginning of the first second after it that ends with
	// none; 0 and nil without an outage or when that is not up to the end.
	Outage        int64      `json:"at_outage_end"`
	OutageCleared *time.Time `json:"outage_cleared_at"`

	Longest float64 `json:"longest_wait_seconds"` // of any overdue card, in seconds; 0 when none waited

	Lateness Lateness `json:"lateness_seconds"`
}

// Lateness says how long after its slot an automatic rotation comes: within so many
// seconds in 50, 90, 99 and 99.9 of 100 cases. The numbers are exact, rounded up to
// whole seconds; 0 is on time. A card that is overdue at the end counts with the time
// that it has waited by then.
type Lateness struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p99.9"`
}

// Spread compares the load with that of the same fleet enrolled otherwise: all
// at one instant where the forecast spreads first slots, or spread over each
// card's whole interval where it does not.
type Spread struct {
	Window        string `json:"window"`          // of the comparison; 0s: all at one instant
	PerMinuteMax  int64  `json:"per_minute_max"`  // the comparison's peak
	PerMinuteLess int64  `json:"per_minute_less"` // how much lower the spread one of the two peaks is; negative when it is higher
	BacklogMax    *int64 `json:"backlog_max"`     // the comparison's; nil without outage and capacity
}

func (p *plan) forecast(w *worker) *Forecast {
	sortRecords(w.records)
	f := &Forecast{
		Options: p.Options, Cards: p.Cards, Days: p.Days, Start: p.Start, End: p.at(p.end),
		Reasons: Reasons{Kinds{w.autoScheduled, w.forcedScheduled}, Kinds{w.autoHeld, w.forcedHeld}},
		Scenario: map[string]int64{
			"1": w.scenario[1], "2": w.scenario[2], "3": w.scenario[3],
		},
		Guard: short(p.Rules.Guard()), Seed: p.Seed,
		Missed: w.missed, Mode: p.Mode, records: w.records,
	}
	for _, g := range p.groups {
		f.Intervals = append(f.Intervals, Interval{short(time.Duration(g.interval)), g.cards})
	}
	f.Automatic = w.autoScheduled + w.autoHeld
	f.Forced = w.forcedScheduled + w.forcedHeld
	f.Scheduled = w.autoScheduled + w.forcedScheduled
	f.Held = w.autoHeld + w.forcedHeld
	f.Rotations = f.Automatic + f.Forced
	if f.Rotations > 0 {
		f.HeldRatio = float64(f.Held) / float64(f.Rotations)
	}
	automatic, forced := w.automatic, w.forced
	if p.Detail == DetailSeconds {
		f.PerSecond = p.load(automatic, forced, second)
		automatic, forced = automatic.byMinute(), forced.byMinute()
	}
	if p.Detail != DetailTotals {
		f.PerMinute = p.load(automatic, forced, minute)
		f.AutomaticByMinute, f.ForcedByMinute = widen(automatic), widen(forced)
	}
	if w.waiting != nil {
		f.Backlog, f.BacklogByMinute = p.backlog(w)
	}
	return f
}

func (p *plan) at(ns int64) time.Time { return p.Start.Add(time.Duration(ns)) }

func widen(s series) []int64 {
	wide := make([]int64, len(s))
	for i, n := range s {
		wide[i] = int64(n)
	}
	return wide
}

// load sums up the bins of both kinds, each width ns wide.
func (p *plan) load(automatic, forced series, width int64) *Load {
	all := slices.Clone(automatic)
	all.add(forced)
	l := &Load{}
	sum := int64(0)
	for i, n := range all {
		sum += int64(n)
		if int64(n) > l.Max || i == 0 {
			l.Max, l.MaxAt = int64(n), p.at(int64(i)*width)
		}
	}
	l.Mean = float64(sum) / float64(p.end/width)
	l.P50, l.P99 = percentiles(all, l.Max)
	return l
}

// percentiles returns the least number that half of the bins, and 99 of 100,
// are at or below. It may reorder the bins, of which none is over top.
func percentiles(bins series, top int64) (p50, p99 int64) {
	at50, at99 := (len(bins)+1)/2, (len(bins)*99+99)/100
	if top >= int64(len(bins)) {
		slices.Sort(bins)
		return int64(bins[at50-1]), int64(bins[at99-1])
	}
	counts := make([]int32, top+1)
	for _, n := range bins {
		counts[n]++
	}
	seen := 0
	for n, count := range counts {
		if seen < at50 {
			p50 = int64(n)
		}
		if seen < at99 {
			p99 = int64(n)
		}
		seen += int(count)
	}
	return p50, p99
}

// percentiles returns the percentiles of so many automatic rotations, and of the cards
// that are overdue at the end.
func (l *lateness) percentiles(rotations int64) (p Lateness) {
	late, all := int64(0), rotations+l.overdue
	for _, n := range l.bySecond {
		late += n
	}
	for _, of := range []struct {
		at       *int64
		permille int64
	}{{&p.P50, 500}, {&p.P90, 900}, {&p.P99, 990}, {&p.P999, 999}} {
		// all may be 10^13: it does not overflow.
		seen, rank := all-late, (all*of.permille+999)/1000
		for s, n := range l.bySecond {
			if seen >= rank {
				break
			}
			if seen += n; n > 0 {
				*of.at = int64(s)
			}
		}
	}
	return p
}

func (p *plan) backlog(w *worker) (*Backlog, []int64) {
	b := &Backlog{Delayed: w.delayed, Longest: time.Duration(w.longest).Seconds()}
	byMinute := make([]int64, (len(w.waiting)-1)/60+1)
	last := int64(-1) // second of the outage
	if p.outageUntil > p.outageFrom {
		last = (p.outageUntil - 1) / second
	}
	b.Lateness = w.late.percentiles(w.autoScheduled + w.autoHeld)
	waiting := uint32(0)
	for i, change := range w.waiting {
		waiting += change // modulo 2^32, where +(-1) is -1
		n := int64(waiting)
		byMinute[i/60] = max(byMinute[i/60], n)
		at := p.at(int64(i) * second)
		switch {
		case n > b.Max:
			b.Max, b.MaxAt, b.Cleared = n, &at, nil
		case n == 0 && b.Max > 0 && b.Cleared == nil:
			b.Cleared = &at
		}
		switch {
		case int64(i) == last:
			b.Outage = n
		case n == 0 && last >= 0 && int64(i) > last && b.OutageCleared == nil:
			b.OutageCleared = &at
		}
	}
	return b, byMinute
}

// CompareSpread forecasts the same fleet enrolled otherwise (see [Spread]), and
// adds the comparison to f. It takes about as long again as the forecast did,
// and stops early, with the context's error, when the context ends. A forecast
// with DetailTotals can't be compared.
func CompareSpread(ctx context.Context, f *Forecast) error {
	if f.PerMinute == nil {
		return errors.New("fleet: CompareSpread needs a forecast that counts load")
	}
	other := f.Options
	other.Record = false
	other.Detail = DetailMinutes
	other.Spread = 0
	if f.Options.Spread == 0 {
		other.Spread = rotation.MaxInterval
	}
	g, err := Run(ctx, f.Cards, f.Days, other)
	if err != nil {
		return err
	}
	s := &Spread{Window: "each card's interval", PerMinuteMax: g.PerMinute.Max, PerMinuteLess: f.PerMinute.Max - g.PerMinute.Max}
	if other.Spread == 0 {
		s.Window, s.PerMinuteLess = "0s", -s.PerMinuteLess
	}
	if g.Backlog != nil {
		s.BacklogMax = &g.Backlog.Max
	}
	f.Spread = s
	return nil
}

// short spells a duration without trailing zero units.
func short(d time.Duration) string { return rotation.FormatDuration(d) }
