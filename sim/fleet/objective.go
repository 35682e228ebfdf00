package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Objective is a service level objective, and the capacity that it takes: the ratio of
// the automatic rotations that come within a time after their slots. Slots that do not
// have this time before the end of the forecast are not judged.
type Objective struct {
	Within   time.Duration `json:"-"`        // 0: on time
	Ratio    float64       `json:"ratio"`    // over 0 up to 1
	Capacity int64         `json:"capacity"` // rotations in each second
	Achieved float64       `json:"achieved"` // the ratio at that capacity
	Spelled  string        `json:"within"`   // Within, as Go spells durations
}

// FindCapacity forecasts as [Run] does, at the capacity that an objective takes: at it
// the objective is met, and at one rotation a second less it is not. Options.Capacity
// must be 0. The result does not depend on the workers. It takes about as long as
// several forecasts. An objective that no capacity meets, as in a long outage, is a
// [*FieldError] of the field within, and so is a forecast without a slot to judge.
func FindCapacity(ctx context.Context, cards int64, days int, o Options, objective Objective) (*Forecast, error) {
	began := time.Now()
	fail := func(format string, args ...any) (*Forecast, error) {
		return nil, &FieldError{"within", fmt.Sprintf(format, args...)}
	}
	switch {
	case objective.Within < 0:
		return fail("%s is negative; 1s is a second after the slot", short(objective.Within))
	case !(objective.Ratio > 0 && objective.Ratio <= 1):
		return fail("the share %v is not over 0 and up to 1", objective.Ratio)
	case o.Capacity != 0:
		return fail("a capacity is given; leave it out to find it")
	}
	o.Capacity = 1
	p, err := fleet{cards, days, o}.plan()
	if err != nil {
		return nil, err
	}
	p.within = int64(objective.Within)
	p.judged = p.end - p.within
	s := &search{plan: p, objective: objective}
	best, err := s.run(ctx)
	switch {
	case errors.Is(err, errNothingToJudge):
		return fail("no automatic rotation is due %s or more before the end: more days are needed", short(objective.Within))
	case err != nil:
		return nil, err
	case best == nil:
		return fail("no capacity rotates %s of the cards within %s: an outage or missed slots delay more", percent(objective.Ratio), short(objective.Within))
	}
	f := best.plan.forecast(best)
	objective.Capacity, objective.Achieved, objective.Spelled = best.plan.Capacity, best.achieved(), short(objective.Within)
	f.Objective = &objective
	f.ElapsedSeconds = time.Since(began).Seconds()
	return f, nil
}

var errNothingToJudge = errors.New("fleet: no slot to judge")

// search looks for the capacity of an objective.
type search struct {
	*plan
	objective Objective
}

// judgedSlots returns how many slots the objective judges.
func (w *worker) judgedSlots() int64 {
	return w.autoScheduled + w.autoHeld + w.late.overdue - w.late.unjudged
}

// achieved returns the ratio of the judged slots that are served within the objective's
// time, 0 if none is judged.
func (w *worker) achieved() float64 {
	if all := w.judgedSlots(); all > 0 {
		return float64(all-w.late.beyond) / float64(all)
	}
	return 0
}

// at returns the forecast at a capacity, nil if it misses the objective.
func (s *search) at(ctx context.Context, capacity int64) (*worker, error) {
	p := *s.plan
	p.Capacity = capacity
	w, err := p.run(ctx)
	if err != nil || w.achieved() < s.objective.Ratio {
		return nil, err
	}
	w.plan = &p
	return w, nil
}

// run finds the capacity: it guesses, steps away from the guess by 1, 2, 4 … until one
// capacity meets the objective and a lower one does not, and bisects. It returns nil if
// none meets it.
func (s *search) run(ctx context.Context) (best *worker, err error) {
	free, err := s.unlimited(ctx)
	if err != nil {
		return nil, err
	}
	if free.judgedSlots() == 0 {
		return nil, errNothingToJudge
	}
	top := max(1, free.peak())                         // with it, nothing waits for capacity
	low, high := int64(0), top+1                       // low misses the objective, high meets it
	guess := s.guess(free.automatic, free.forced, top) // of one that meets it
	try := func(capacity int64) error {
		w, err := s.at(ctx, capacity)
		if w != nil {
			best, high = w, capacity
		} else {
			low = capacity
		}
		return err
	}
	for next, step := guess, int64(1); low+1 < high; step *= 2 {
		if err := try(next); err != nil {
			return nil, err
		}
		switch {
		case best == nil:
			next = min(guess+step, top)
		case low == 0:
			next = max(guess-step, 1)
		default:
			next = low + (high-low)/2
		}
	}
	return best, nil
}

// guess returns about the lowest capacity that meets the objective, if the slots are
// those of a fleet without a capacity: it knows how many come in each second alone.
func (s *search) guess(automatic, forced series, top int64) int64 {
	total := int64(0)
	for _, n := range automatic {
		total += int64(n)
	}
	allowed := int64(math.Floor(float64(total) * (1 - s.objective.Ratio)))
	seconds := int((s.within + second - 1) / second)
	low, high := int64(0), top
	for low+1 < high {
		capacity := low + (high-low)/2
		late, waiting, oldest, left := int64(0), int64(0), 0, int64(0) // left of the oldest second
		for sec, n := range automatic {
			waiting += int64(n)
			for room := max(0, capacity-int64(forced[sec])); room > 0 && waiting > 0; {
				if left == 0 {
					left, oldest = int64(automatic[oldest]), oldest+1
					continue
				}
				served := min(room, left)
				room, left, waiting = room-served, left-served, waiting-served
				if sec-(oldest-1) > seconds {
					late += served
				}
			}
		}
		if late <= allowed && waiting <= allowed {
			high = capacity
		} else {
			low = capacity
		}
	}
	return high
}
