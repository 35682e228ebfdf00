package fleet

import (
	"fmt"
	"math"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/internal/splitmix"
)

// What a forecast accepts at most, and at least.
const (
	MaxCards       = 100_000_000
	MaxDays        = 3660 // ten years
	MaxSecondsDays = 366  // of an outage, a capacity, or load by the second
	MaxIntervals   = 16
	MinInterval    = time.Second
	MinPerDay      = 0.0001 // regular forced calls per card and day, unless none
	MaxPerDay      = 1440
	MaxCapacity    = 1_000_000_000 // rotations a second
	MaxEvents      = 1_000_000     // of a recorded timeline, about

	maxMinute = math.MaxInt32 / 2 // rotations in a minute, so that twice as many fit a bin
)

// DefaultStart is when a forecast starts unless told: a fixed instant, so that
// equal flags give equal results.
var DefaultStart = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// Mode is how a forecast is computed. Both modes give the same results.
type Mode uint8

const (
	ModeAuto   Mode = iota // ModeClosed where it can be, else ModeEvent
	ModeEvent              // event by event
	ModeClosed             // by arithmetic between forced calls: no outage, no capacity, no recording
)

// String returns auto, event or closed; an unknown mode prints as Mode(n).
func (m Mode) String() string {
	switch m {
	case ModeAuto:
		return "auto"
	case ModeEvent:
		return "event"
	case ModeClosed:
		return "closed"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MarshalText returns what String does.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts auto, event and closed.
func (m *Mode) UnmarshalText(text []byte) error {
	for _, known := range []Mode{ModeAuto, ModeEvent, ModeClosed} {
		if string(text) == known.String() {
			*m = known
			return nil
		}
	}
	return fmt.Errorf("one of auto, event, closed is needed")
}

// Detail is how finely load is counted over time.
type Detail uint8

const (
	DetailMinutes Detail = iota // by the minute
	DetailSeconds               // by the second and the minute; for up to 366 days
	DetailTotals                // not at all
)

// Options says how a fleet is enrolled, forced and served. The zero value is ready
// to use.
type Options struct {
	Start time.Time // when all cards are enrolled, a whole minute; the zero time is DefaultStart

	Mix    []IntervalRatio // the cards' intervals; empty: 24 hours for all
	Spread time.Duration   // over which first slots are spread, at most a card's interval; 0: all at one instant
	Rules  rotation.Rules

	Forced Forced // regular forced calls; zero: none
	Burst  Burst  // many forced calls at once; zero: none
	Outage Outage // no automatic rotations; zero: none

	Capacity int64 // rotations in each second; 0: as many as are due

	Seed    uint64
	Workers int    // goroutines; 0: one for each CPU
	Mode    Mode   // zero: the faster one that can
	Detail  Detail // zero: by the minute
	Record  bool   // keep the events for Forecast.Timeline; at most about MaxEvents

	// Progress, unless nil, is told now and then how much is done. It is
	// called by many goroutines at once.
	Progress func(done, total int64)
}

// fleet says what to forecast.
type fleet struct {
	Cards int64 // 1 to MaxCards
	Days  int   // of 24 hours, 1 to MaxDays
	Options
}

// IntervalRatio is the ratio of the fleet's cards that have an interval.
type IntervalRatio struct {
	Interval time.Duration // longer than the guard, from MinInterval to rotation.MaxInterval
	Ratio    float64       // of the cards, over 0 up to 1; the ratios of a mix add up to 1
}

// Forced says how often a card is forced to rotate, day in, day out.
type Forced struct {
	PerDay float64 // calls per card and day on average, MinPerDay to MaxPerDay; 0: none
	Steady bool    // at equal distances, not at random (a Poisson process)
}

// Burst forces cards once each at random instants within a short while: a
// breach.
type Burst struct {
	At     time.Duration // when it begins, after Start
	Within time.Duration // how long it takes
	Ratio  float64       // of the cards, up to 1; 0: there is no burst
}

// Outage is a while in which the host serves no automatic rotation.
type Outage struct {
	From time.Duration // when it begins, after Start
	For  time.Duration // how long it lasts; 0: there is no outage
}

// FieldError says what is wrong with a parameter or option.
type FieldError struct {
	Field  string // as the command's flags spell it, such as outage-from
	Detail string // what is wrong and what would do
}

// Error returns "FIELD: DETAIL".
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// quotaBits are the fraction bits of the burst's ratio.
const quotaBits = 32

// group is a run of cards with one interval.
type group struct {
	first, cards int64
	interval     int64
	spread       int64 // at most interval
}

// plan is a fleet that has been checked, with instants in ns since the start.
type plan struct {
	fleet
	end         int64 // the last instant
	guard       int64
	fromRequest bool
	groups      []group
	forcedEvery int64 // ns between regular calls on average; 0: none
	burstAt     int64
	burstWithin int64
	burstQuota  uint64 // ratio of the cards << quotaBits
	outageFrom  int64
	outageUntil int64 // outageFrom when there is none
	within      int64 // of an objective, in ns
	judged      int64 // the last slot that an objective judges, in ns since the start
}

// events returns about how many events a timeline of the forecast would have:
// an upper estimate, without the burst's share of chance.
func (c fleet) events() float64 {
	rotations := c.Forced.PerDay * float64(c.Days)
	for _, s := range c.mix() {
		rotations += s.Ratio * float64(c.Days) * 24 * float64(time.Hour) / float64(s.Interval)
	}
	return float64(c.Cards) * (1 + rotations + c.Burst.Ratio)
}

// Cost returns roughly how long [Run] keeps one core busy. It depends on the
// parameters alone, so that what is decided by it is the same everywhere.
func Cost(cards int64, days int, o Options) time.Duration {
	c := fleet{cards, days, o}
	call, event := 15.0, 0.0 // ns
	switch {
	case c.Capacity > 0:
		event = 40
	case c.Mode == ModeEvent || c.Outage.For != 0 || c.Record:
		event = 2.5
		if c.Detail == DetailSeconds {
			event = 15
		}
	case c.Detail == DetailSeconds:
		call = 250
	}
	calls := float64(c.Cards) * (1 + c.Forced.PerDay*float64(c.Days) + c.Burst.Ratio)
	return time.Duration(calls*call + c.events()*event)
}

func (c fleet) mix() []IntervalRatio {
	if len(c.Mix) == 0 {
		return []IntervalRatio{{24 * time.Hour, 1}}
	}
	return c.Mix
}

// plan checks c. The error is a *FieldError.
func (c fleet) plan() (*plan, error) {
	fail := func(field, format string, args ...any) (*plan, error) {
		return nil, &FieldError{field, fmt.Sprintf(format, args...)}
	}
	if c.Start.IsZero() {
		c.Start = DefaultStart
	}
	c.Start = c.Start.UTC().Round(0)
	lasts := time.Duration(c.Days) * 24 * time.Hour
	switch {
	case c.Cards < 1 || c.Cards > MaxCards:
		return fail("cards", "%d is not from 1 to %d", c.Cards, int64(MaxCards))
	case c.Days < 1 || c.Days > MaxDays:
		return fail("days", "%d is not from 1 to %d, ten years", c.Days, MaxDays)
	case !c.Start.Truncate(time.Minute).Equal(c.Start):
		return fail("start", "%s is not a whole minute, and load is counted by the minute", c.Start.Format(time.RFC3339Nano))
	case c.Start.Year() < 1970 || c.Start.Add(lasts).Year() > 2200:
		return fail("start", "from %s to %s is not within the years 1970 to 2200", c.Start.Format(time.RFC3339), c.Start.Add(lasts).Format(time.RFC3339))
	case c.Spread < 0:
		return fail("spread", "%s is negative; 24h spreads the first slots over a day", short(c.Spread))
	case c.Capacity < 0 || c.Capacity > MaxCapacity:
		return fail("capacity", "%d is not from 1 to %d rotations a second, or 0 for no limit", c.Capacity, int64(MaxCapacity))
	case c.Workers < 0:
		return fail("workers", "%d is negative; 0 is one for each CPU", c.Workers)
	case c.Mode > ModeClosed:
		return fail("mode", "%v is unknown: one of auto, event, closed is needed", c.Mode)
	case c.Detail > DetailTotals:
		return fail("detail", "%d is unknown", c.Detail)
	case c.Capacity > 0 && c.Days > MaxSecondsDays:
		return fail("capacity", "at most %d days can be queued second by second, not %d", MaxSecondsDays, c.Days)
	case c.Outage.For != 0 && c.Days > MaxSecondsDays:
		return fail("outage-for", "at most %d days can be followed second by second, not %d", MaxSecondsDays, c.Days)
	case c.Detail == DetailSeconds && c.Days > MaxSecondsDays:
		return fail("per-second", "at most %d days can be counted second by second, not %d", MaxSecondsDays, c.Days)
	}
	p := &plan{fleet: c, end: int64(lasts), guard: int64(c.Rules.Guard()), fromRequest: c.Rules.GuardFrom() == rotation.GuardFromRequest}

	if err := p.planMix(); err != nil {
		return nil, err
	}
	switch rate := c.Forced.PerDay; {
	case rate == 0:
	case !(rate >= MinPerDay && rate <= MaxPerDay):
		return fail("forced", "%v calls per card and day: 0, or from %v to %v is needed", rate, MinPerDay, MaxPerDay)
	default:
		p.forcedEvery = int64(math.Round(float64(24*time.Hour) / rate))
	}
	if b := c.Burst; b.Ratio != 0 {
		switch {
		case !(b.Ratio > 0 && b.Ratio <= 1):
			return fail("burst-share", "%v is not over 0 and up to 1, the whole fleet", b.Ratio)
		case b.At < 0 || b.At > lasts:
			return fail("burst", "%s after the start is not within the %d days", short(b.At), c.Days)
		case b.Within <= 0 || b.Within > lasts:
			return fail("burst-within", "%s is not over 0 and up to the %d days", short(b.Within), c.Days)
		}
		p.burstAt, p.burstWithin = int64(b.At), int64(b.Within)
		p.burstQuota = uint64(math.Round(b.Ratio * (1 << quotaBits)))
	}
	if o := c.Outage; o.For != 0 {
		switch {
		case o.For < 0 || o.For > rotation.MaxInterval:
			return fail("outage-for", "%s is not over 0 and up to ten years", short(o.For))
		case o.From < 0 || o.From > lasts:
			return fail("outage-from", "%s after the start is not within the %d days", short(o.From), c.Days)
		}
		p.outageFrom, p.outageUntil = int64(o.From), int64(o.From+o.For)
	}
	if err := p.planMode(); err != nil {
		return nil, err
	}
	if busiest := p.busiestMinute(); busiest > maxMinute {
		return fail("cards", "%d at these intervals can make %.3g rotations in one minute, and at most %.3g can be counted", c.Cards, busiest, float64(maxMinute))
	}
	return p, nil
}

// planMix gives each interval a run of cards.
func (p *plan) planMix() error {
	fail := func(field, format string, args ...any) error {
		return &FieldError{field, fmt.Sprintf(format, args...)}
	}
	if n := len(p.mix()); n > MaxIntervals {
		return fail("interval", "%d intervals, and at most %d can be mixed", n, MaxIntervals)
	}
	sum, first := 0.0, int64(0)
	for i, s := range p.mix() {
		interval := short(s.Interval)
		switch {
		case !(s.Ratio > 0 && s.Ratio <= 1):
			return fail("interval", "%s has the share %v; over 0 and up to 1 is needed", interval, s.Ratio)
		case int64(s.Interval) <= p.guard:
			return fail("interval", "%s is not longer than the guard of %s", interval, short(p.Rules.Guard()))
		case s.Interval < MinInterval:
			return fail("interval", "%s is shorter than %v, the shortest that can be counted", interval, MinInterval)
		case s.Interval > rotation.MaxInterval:
			return fail("interval", "%s is longer than ten years (%s)", interval, short(rotation.MaxInterval))
		}
		for _, other := range p.mix()[:i] {
			if other.Interval == s.Interval {
				return fail("interval", "%s is given twice", interval)
			}
		}
		sum += s.Ratio
		last := int64(math.Round(math.Min(sum, 1) * float64(p.Cards)))
		p.groups = append(p.groups, group{first, last - first, int64(s.Interval), min(int64(p.Spread), int64(s.Interval))})
		first = last
	}
	if math.Abs(sum-1) > 1e-6 {
		return fail("interval", "the shares add up to %.6g, not to 1 (or 100%%)", sum)
	}
	p.groups[len(p.groups)-1].cards += p.Cards - first // a share that the sum lacks for rounding
	for _, g := range p.groups {
		latest := p.Start.Add(time.Duration(g.interval))
		if latest.Year() > 2200 {
			return fail("start", "the first slot would be %s, after the year 2200", latest.Format(time.RFC3339))
		}
	}
	return nil
}

// planMode chooses the mode.
func (p *plan) planMode() error {
	why := ""
	switch {
	case p.Record:
		why = "the timeline needs the events"
	case p.Capacity > 0:
		why = "a capacity needs the events"
	case p.outageUntil > p.outageFrom:
		why = "an outage needs the events"
	}
	switch {
	case p.Record && p.events() > MaxEvents:
		return &FieldError{"write-timeline", fmt.Sprintf("about %.3g events, and at most %d can be written: fewer cards or days, or longer intervals, will do", p.events(), MaxEvents)}
	case p.Mode == ModeAuto && why == "":
		p.Mode = ModeClosed
	case p.Mode == ModeAuto:
		p.Mode = ModeEvent
	case p.Mode == ModeClosed && why != "":
		return &FieldError{"mode", "closed: " + why + "; auto or event will do"}
	}
	return nil
}

// busiestMinute returns how many rotations one minute can hold, twice what is
// likely of forced calls.
func (p *plan) busiestMinute() float64 {
	per := 2*p.Forced.PerDay/1440 + p.Burst.Ratio
	for _, g := range p.groups {
		per += float64(g.cards) / float64(p.Cards) * (math.Floor(float64(time.Minute)/float64(g.interval)) + 1)
	}
	return per * float64(p.Cards)
}

// firstSlot returns the first slot of a card of the group, in ns since the
// start.
func (p *plan) firstSlot(g *group, card int64) int64 {
	if g.spread == 0 {
		return g.interval
	}
	return g.interval - splitmix.Below(splitmix.At(streamKey(p.Seed, card, streamFirst), 0), g.spread)
}
