package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/internal/must"
	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

func drawRules(t *rapid.T) rotation.Rules {
	return must.Get(rotation.NewRules(2*time.Minute, rapid.SampledFrom([]rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling}).Draw(t, "guard from")))(t)
}

// drawLog draws what a system with two cards records, its clock never stepping
// back: on time, late, delivered twice, in flight, forced, changed.
func drawLog(t *rapid.T, rules rotation.Rules, events int) []timeline.Entry {
	replay := sim.NewReplay(rules)
	now := start
	var log []timeline.Entry
	states := make(map[string]rotation.State)
	armed := map[string][]time.Time{}
	for len(log) < events {
		now = now.Add(rapid.SampledFrom([]time.Duration{0, 1, time.Minute, 2*time.Minute - 1, 2 * time.Minute, time.Hour, 5 * time.Hour}).Draw(t, "gap"))
		card := rapid.SampledFrom([]string{"A", "B"}).Draw(t, "card")
		next, on := states[card].Next()
		var e rotation.Event
		switch kind := rapid.IntRange(0, 9).Draw(t, "event"); {
		case kind == 0:
			e = rotation.SetInterval(now, rapid.SampledFrom([]time.Duration{time.Hour, 3 * time.Minute}).Draw(t, "interval"))
		case kind == 1 && rapid.IntRange(0, 3).Draw(t, "off") == 0:
			e = rotation.Disable(now)
		case kind <= 3:
			e = rotation.Forced(now)
		case kind == 4:
			e = rotation.AutoUnslotted(now) // before, at or after the slot
		case kind == 5 && len(armed[card]) > 0:
			e = rotation.AutoSlot(now, rapid.SampledFrom(armed[card]).Draw(t, "old slot"))
		case on:
			if now.Before(next) {
				now = next
			}
			e = rotation.AutoSlot(now, next)
		default:
			e = rotation.Forced(now)
		}
		step := must.Get(replay.Apply(timeline.Entry{Card: card, Event: e}))(t)
		step.Entry.Expect = step.Outcome()
		log = append(log, step.Entry)
		states[card] = step.After
		if slot, ok := step.After.Next(); ok {
			armed[card] = append(armed[card], slot)
		}
	}
	return log
}

// A log that begins in the middle never shows a difference that is not there,
// and its cards become known.
func TestVerifier_InfersTheStateOfALogFromTheMiddle(t *testing.T) {
	var agrees, unknown int
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		log := drawLog(t, rules, 60)
		v := sim.NewVerifier(rules, true)
		for i, e := range log[rapid.IntRange(0, 50).Draw(t, "lost"):] {
			f := must.Get(v.Apply(e))(t)
			switch f.Verdict {
			case sim.VerdictDiffers:
				t.Fatalf("entry %d: %v %s: differs: %v %s", i, e.Event.Kind(), e.Expect, f.Differences, f.Explanation)
			case sim.VerdictAgrees:
				agrees++
			case sim.VerdictUnknown:
				unknown++
			}
		}
	})
	if agrees < 5*unknown {
		t.Errorf("%d records judged and %d unknown: cards do not become known soon enough", agrees, unknown)
	}
}

// From the beginning, a Verifier judges every record, and finds the one that was
// altered.
func TestVerifier_FindsEachChangedField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		log := drawLog(t, rules, 20)
		altered := rapid.IntRange(0, len(log)-1).Draw(t, "altered")
		x := &log[altered].Expect
		switch rapid.IntRange(0, 5).Draw(t, "field") {
		case 0:
			x.Rotate = !x.Rotate
		case 1:
			x.Reschedule = !x.Reschedule
		case 2:
			x.Reason = x.Reason%8 + 1
		case 3:
			x.Scenario++
		case 4:
			x.Missed++
		case 5:
			if x.Next.IsZero() {
				x.Next = start
			} else {
				x.Next = x.Next.Add(1)
			}
		}
		v := sim.NewVerifier(rules, false)
		met := make(map[string]bool)
		for i, e := range log {
			f := must.Get(v.Apply(e))(t)
			want := sim.VerdictAgrees
			if i == altered {
				want = sim.VerdictDiffers
			}
			if f.Verdict == sim.VerdictUnknown && i == altered && !met[e.Card] {
				return // as the first record of a card, it could be of a log's middle
			}
			if f.Verdict != want {
				t.Fatalf("entry %d: %v %s: verdict %d, want %d", i, e.Event.Kind(), e.Expect, f.Verdict, want)
			}
			if want == sim.VerdictDiffers && f.Explanation == "" {
				t.Fatalf("entry %d differs without an explanation", i)
			}
			met[e.Card] = true
		}
	})
}

// Each case is a log as text, with the verdicts that its entries get.
func TestVerifier_Cases(t *testing.T) {
	const full = "rotate=true reschedule=false reason=guard scenario=3 missed=0 next=2026-11-23T15:00:00Z"
	for _, tt := range []struct {
		name, log string
		partial   bool
		want      string
	}{
		{"expectations by hand assume the beginning", `
2026-11-22T15:00:00Z A forced => rotate=true reschedule=true`, false, "differs"},
		{"a full record of the middle", `
2026-11-22T15:00:00Z A forced => ` + full, false, "unknown"},
		{"what no state explains differs", `
2026-11-22T15:00:00Z A forced => rotate=false reschedule=false reason=guard scenario=3 missed=0 next=2026-11-23T15:00:00Z`, false, "differs"},
		{"also in the middle", `
2026-11-22T15:00:00Z A forced => ` + full + `
2026-11-22T15:00:10Z A forced => rotate=true reschedule=true reason=guard scenario=3 missed=0 next=2026-11-23T15:00:00Z`, false, "unknown differs"},
		{"learned from the slot before", `
2026-11-23T15:00:00Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-26T16:00:00Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=2 next=2026-11-27T15:00:00Z
2026-11-27T15:00:00Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-28T15:00:01Z`, true, "unknown unknown differs"},
		{"a slot from before the log may have been served", `
2026-11-23T15:00:00Z A forced => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:05:00Z A auto slot=2026-11-23T14:59:00Z => rotate=false reschedule=false reason=duplicate scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:05:01Z A auto slot=2026-11-23T14:59:30Z => rotate=false reschedule=false reason=superseded scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:00:00Z
2026-11-24T15:05:00Z A auto slot=2026-11-24T15:00:00Z => rotate=false reschedule=false reason=superseded scenario=0 missed=0 next=2026-11-25T15:00:00Z`, true,
			"unknown unknown unknown agrees differs"},
		{"after a difference, what was learned is learned anew", `
2026-11-23T15:00:00Z A forced => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:01:00Z A forced => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:01:00Z
2026-11-23T15:02:00Z A forced => rotate=true reschedule=false reason=guard scenario=3 missed=0 next=2026-11-24T15:01:00Z
2026-11-24T15:01:00Z A auto slot=2026-11-24T15:01:00Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:01:00Z
2026-11-25T15:01:00Z A auto slot=2026-11-25T15:01:00Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-26T15:01:00Z`, true,
			"unknown differs unknown unknown agrees"},
		{"records of fewer fields", `
2026-11-23T15:00:00Z A forced => rotate=true next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => reschedule=true
2026-11-25T18:00:00Z A auto slot=2026-11-25T15:00:00Z => reschedule=true next=2026-11-25T20:00:00Z
2026-11-25T20:00:00Z A auto slot=2026-11-25T20:00:00Z => reschedule=true next=2026-11-25T21:00:00Z
2026-11-25T21:00:00Z A auto slot=2026-11-25T21:00:00Z => next=2026-11-25T21:30:00Z`, true,
			"unknown unknown unknown unknown differs"},
		{"entries that record nothing", `
2026-11-23T15:00:00Z A forced
2026-11-23T15:01:00Z A forced => rotate=true`, true, "silent unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.log), "test")
			v := sim.NewVerifier(rotation.Rules{}, tt.partial)
			var got []string
			for {
				e, err := r.Next()
				if err != nil {
					break
				}
				f := must.Get(v.Apply(e))(t)
				got = append(got, []string{"silent", "agrees", "differs", "unknown"}[f.Verdict])
			}
			if fmt.Sprint(got) != "["+tt.want+"]" {
				t.Errorf("verdicts %v, want [%s]", got, tt.want)
			}
		})
	}
}
