package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// benchEvents is what a card sees, in the mix that a fleet with a forced call
// a day makes: on schedule, forced, forced again within the guard, automatic
// within the guard.
var benchEvents = func() (events [32]benchEvent) {
	at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for i := 0; i < len(events); i += 4 {
		events[i] = benchEvent{at, rotation.KindAuto}
		events[i+1] = benchEvent{at.Add(10 * time.Minute), rotation.KindForced}
		events[i+2] = benchEvent{at.Add(11 * time.Minute), rotation.KindForced}
		events[i+3] = benchEvent{at.Add(11*time.Minute + 30*time.Second), rotation.KindAuto}
		at = at.Add(time.Hour + 10*time.Minute)
	}
	return events
}()

type benchEvent struct {
	at   time.Time
	kind rotation.Kind
}

// int64State and its step are the baseline: the same arithmetic on bare
// integers, written inline in the loop, with nothing checked and nothing
// explained.
type int64State struct {
	interval, next, guardStart, served int64
	guardKind                          uint8
}

func BenchmarkDecide(b *testing.B) {
	const guard, interval = int64(2 * time.Minute), int64(time.Hour)
	start := benchEvents[0].at.Add(-time.Hour)

	b.Run("baseline=int64", func(b *testing.B) {
		type event struct {
			at   int64
			kind uint8
		}
		var events [32]event
		for i, e := range benchEvents {
			events[i] = event{e.at.UnixNano(), uint8(e.kind)}
		}
		initial := int64State{interval: interval, next: start.UnixNano() + interval, guardStart: start.UnixNano(), guardKind: 3}
		s := initial
		var rotated, rescheduled, scenarios int64
		for i := 0; b.Loop(); i++ {
			if i%len(events) == 0 {
				s = initial
			}
			e := &events[i%len(events)]
			gap := e.at - s.guardStart
			held := s.guardKind != 0 && gap < guard && -gap < guard
			if s.interval != 0 {
				if e.kind == 1 {
					if !held {
						s.next = e.at + s.interval
						rescheduled++
					} else if s.guardKind < 3 {
						scenarios++
					}
				} else {
					if s.next <= e.at {
						k := (e.at - s.next) / s.interval
						s.served = s.next + k*s.interval
						s.next = s.served + s.interval
					} else if !held {
						s.next = e.at + s.interval
					}
					if !held {
						rescheduled++
					} else if s.guardKind == 1 {
						scenarios++
					}
				}
				rotated++
				s.guardStart, s.guardKind = e.at, e.kind
			}
		}
		sink = rotated + rescheduled + scenarios + s.next
	})

	b.Run("Decide", func(b *testing.B) {
		var rules rotation.Rules
		initial, _, err := rules.Decide(rotation.State{}, rotation.SetInterval(start, time.Hour))
		must.Do(b, err)
		s := initial
		var rotated, rescheduled, scenarios int64
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(benchEvents) == 0 {
				s = initial
			}
			e := &benchEvents[i%len(benchEvents)]
			var event rotation.Event
			if e.kind == rotation.KindForced {
				event = rotation.Forced(e.at)
			} else {
				event = rotation.AutoUnslotted(e.at)
			}
			var d rotation.Decision
			s, d, err = rules.Decide(s, event)
			must.Do(b, err)
			if d.Rotate() {
				rotated++
			}
			if d.Reschedule() {
				rescheduled++
			}
			if d.Scenario != 0 {
				scenarios++
			}
		}
		next, _ := s.Next()
		sink = rotated + rescheduled + scenarios + next.UnixNano()
	})
}

var sink int64
