package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"

	"pgregory.net/rapid"
)

// The documentation's three sentences (docs/rules.md), read off a timeline's
// events and decisions alone:
//
//	S1 forced less than 2 minutes after an automatic rotation: the CVV is
//	   rotated, no new scheduling.
//	S2 automatic less than 2 minutes after a forced rotation: the CVV is
//	   rotated, no new scheduling.
//	S3 several forced calls in less than 2 minutes: the CVV is rotated each
//	   time, new scheduling only for the first.

// sentence checks the one that is about a pair of events, of which the earlier
// rotated, less than two minutes apart; "" means that it holds.
func sentence(earlier, later move) string {
	var name string
	switch pair := earlier.Kind + ", " + later.Kind; pair {
	case "auto, forced":
		name = "S1"
	case "forced, auto":
		name = "S2"
	case "forced, forced":
		name = "S3"
	default:
		return ""
	}
	switch {
	case !later.decision.Rotate() && !idle(later):
		return name + ": not rotated"
	case later.decision.Reschedule():
		return name + ": new scheduling"
	}
	return ""
}

// idle reports whether m is a delivery that is no automatic rotation at all:
// rotation is off, its slot is ahead, or its slot was served before.
func idle(m move) bool {
	next, on := m.before.Next()
	served, any := m.before.Served()
	slot := m.Slot.Time
	return m.Kind == model.Auto && (!on || m.Slot.OK &&
		(m.At.Before(slot) || !slot.Equal(next) && any && !slot.After(served)))
}

// While the clock runs forwards, the sentences hold for any two events of a
// timeline, whatever lies between them.
func TestScenarios_HoldWhileClockRunsForwards(t *testing.T) {
	generator := forwards.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		moves := generator.Draw(t, "timeline").moves
		for j, later := range moves {
			for _, earlier := range moves[:j] {
				if earlier.decision.Rotate() && later.At.Sub(earlier.At) < 2*time.Minute {
					if broken := sentence(earlier, later); broken != "" {
						t.Fatalf("%s\n%s\n%s", broken, tell(earlier), tell(later))
					}
				}
			}
		}
	})
}

// The first of several forced calls does get its scheduling: a forced call on a
// card with rotation on is only ever denied one by a request, a rotation or a
// new interval, of less than 2 minutes before.
func TestScenarios_FirstForcedCallSchedules(t *testing.T) {
	generator := forwards.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		moves := generator.Draw(t, "timeline").moves
		for j, m := range moves {
			if _, on := m.before.Next(); m.Kind != model.Forced || !on {
				continue
			}
			first := true
			for _, earlier := range moves[:j] {
				request := earlier.decision.Rotate() || earlier.decision.Rule == rotation.R8
				first = first && !(request && m.At.Sub(earlier.At) < 2*time.Minute)
			}
			if m.decision.Reschedule() != first {
				t.Fatalf("first %v, but %s", first, tell(m))
			}
		}
	})
}

// Where the clock steps back, they hold for any two consecutive requests, and
// "less than 2 minutes" counts in either direction (R20).
func TestScenarios_HoldForConsecutiveRequestsOfAnyClock(t *testing.T) {
	generator := anyClock.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		var last *move
		for _, m := range generator.Draw(t, "timeline").moves {
			if last != nil && m.At.Sub(last.At).Abs() < 2*time.Minute {
				if broken := sentence(*last, m); broken != "" {
					t.Fatalf("%s\n%s\n%s", broken, tell(*last), tell(m))
				}
			}
			if m.decision.Rotate() || m.decision.Rule == rotation.R8 {
				last = &m
			}
		}
	})
}

// Beyond that nothing is promised, and this is why: the guard has one start,
// the previous request. Here that is an interval, or a rotation, which a clock
// two minutes slow put before the rotation that came before it.
func TestScenarios_MayFailAfterClockStepsBack(t *testing.T) {
	run(t, rules, daily(t),
		step{forced(2 * time.Minute), "R3 scheduled, rotate, reschedule; every 24h, next +24h2m, guard forced +2m"},
		step{setInterval(time.Second, time.Hour), "R8 interval_set, reschedule; every 1h, next +1h0m1s, guard set_interval +1s"},
		step{auto(3 * time.Minute), "R7 scheduled, rotate, reschedule; every 1h, next +1h3m, guard auto +3m"},
	)
	run(t, rules, daily(t),
		step{forced(2 * time.Minute), "R3 scheduled, rotate, reschedule; every 24h, next +24h2m, guard forced +2m"},
		step{forced(time.Second), "R2 guard, scenario 3, rotate; every 24h, next +24h2m, guard forced +1s"},
		step{auto(3 * time.Minute), "R7 scheduled, rotate, reschedule; every 24h, next +24h3m, guard auto +3m"},
	)
}

// Measured from the last scheduling instead (R16), S1 fails for the third event
// of a chain: forced 0:00, auto 1:30, forced 2:30.
func TestScenarios_MayFailWhenMeasuredFromScheduling(t *testing.T) {
	chain := []model.Event{
		{Kind: model.Forced, At: at(0)},
		{Kind: model.Auto, At: at(90 * time.Second)},
		{Kind: model.Forced, At: at(150 * time.Second)},
	}
	for from, want := range map[rotation.GuardFrom]string{
		rotation.GuardFromRequest:    "",
		rotation.GuardFromScheduling: "S1: new scheduling",
	} {
		rules := newRules(t, G, from)
		s := daily(t)
		var moves []move
		for _, e := range chain {
			m := move{Event: e, before: s}
			m.after, m.decision, m.err = rules.Decide(s, real(e))
			s = m.after
			moves = append(moves, m)
		}
		if got := sentence(moves[1], moves[2]); got != want {
			t.Errorf("guard from %v: %q, want %q: %s", from, got, want, tell(moves[2]))
		}
	}
}

// The generated timelines are worth something: every rule, every scenario and
// every refusal occurs in them, in numbers.
func TestTimelines_CoverEveryRuleAndRefusal(t *testing.T) {
	var want []string
	for r := rotation.R1; r <= rotation.R14; r++ {
		want = append(want, r.String())
	}
	want = append(want, "scenario 1", "scenario 2", "scenario 3", "missed")
	for _, test := range []struct {
		name      string
		generator *rapid.Generator[timeline]
		more      []string
	}{
		{"forwards", forwards.generator(t), nil},
		{"any clock", anyClock.generator(t), []string{"back within the guard", "back beyond it"}},
		{"anything", anything.generator(t), []string{
			"back within the guard", "back beyond it",
			"refused event", "refused at", "refused slot", "refused interval", "refused first",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			count := map[string]int{}
			for seed := range 300 {
				for _, m := range test.generator.Example(seed).moves {
					count[m.decision.Rule.String()]++
					count[fmt.Sprintf("scenario %d", m.decision.Scenario)]++
					if m.decision.Missed > 0 {
						count["missed"]++
					}
					if m.err != nil {
						count[show(m.after, m.decision, m.err)]++
						continue
					}
					if since, _, ok := m.before.Guard(); ok && m.At.Before(since) {
						if since.Sub(m.At) < G {
							count["back within the guard"]++
						} else {
							count["back beyond it"]++
						}
					}
				}
			}
			for _, category := range append(want, test.more...) {
				if count[category] < 10 {
					t.Errorf("%s occurs %d times", category, count[category])
				}
			}
			t.Log(count)
		})
	}
}

// tell spells a move for a failure's message.
func tell(m move) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s", m.Kind, offset(m.At))
	if m.Slot.OK {
		b.WriteString(" for " + offset(m.Slot.Time))
	}
	if m.Interval != 0 {
		b.WriteString(" " + rotation.FormatDuration(m.Interval))
	}
	if m.First.OK {
		b.WriteString(" first " + offset(m.First.Time))
	}
	return b.String() + " on " + showState(m.before) + ": " + show(m.after, m.decision, m.err)
}
