package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

func drawRules(t *rapid.T) rotation.Rules {
	return must.Get(rotation.NewRules(2*time.Minute, rapid.SampledFrom([]rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling}).Draw(t, "guard from")))(t)
}

// drawLog draws what a system with two cards records, its clock stepping back now
// and then: on time, late, delivered twice, in flight, forced, changed.
func drawLog(t *rapid.T, rules rotation.Rules, events int) []timeline.Entry {
	replay := sim.NewReplay(rules)
	now := start
	var log []timeline.Entry
	states := make(map[string]rotation.State)
	armed := map[string][]time.Time{}
	for len(log) < events {
		now = now.Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, 1, time.Minute, 2*time.Minute - 1, 2 * time.Minute, time.Hour, 5 * time.Hour}).Draw(t, "gap"))
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

// drawEnd draws the rest of a log that begins in the middle, with no clock ahead of
// it before.
func drawEnd(t *rapid.T, log []timeline.Entry) []timeline.Entry {
	lost := rapid.IntRange(0, 50).Draw(t, "lost")
	for slices.ContainsFunc(log[:lost], func(e timeline.Entry) bool { return e.Event.At().After(log[lost].Event.At()) }) {
		lost--
	}
	return log[lost:]
}

// A log that begins in the middle never shows a difference that is not there,
// and its cards become known.
func TestVerifier_InfersTheStateOfALogFromTheMiddle(t *testing.T) {
	var agrees, unknown int
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		log := drawLog(t, rules, 60)
		v := sim.NewVerifier(rules, sim.VerifierOptions{Partial: true, IntervalUnit: -1})
		for i, e := range drawEnd(t, log) {
			f := must.Get(v.Apply(e))(t)
			switch f.Verdict {
			case sim.VerdictDiffers:
				for _, e := range log {
					t.Logf("%s %v %s", e.Card, e.Event, e.Expect)
				}
				t.Fatalf("entry %d: %v %s: differs: %v %s", i, e.Event.Kind(), e.Expect, f.Differences, f.Explanation)
			case sim.VerdictAgrees:
				agrees++
			case sim.VerdictUnknown:
				unknown++
			}
		}
	})
	if agrees < 4*unknown {
		t.Errorf("%d records judged and %d unknown: cards do not become known soon enough", agrees, unknown)
	}
}

// A log that a system wrote never shows a difference that is not there, wherever it
// begins and whatever it records, also if a card's first record could be that of a
// new card.
func TestVerifier_AcceptsACutLogThatLooksNew(t *testing.T) {
	looksNew := 0
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		log := drawLog(t, rules, 60)
		fields := rapid.SampledFrom([]timeline.Field{
			timeline.FieldAll, timeline.FieldAll | timeline.FieldInterval, timeline.FieldRotate, timeline.FieldRotate | timeline.FieldNext,
			timeline.Field(rapid.IntRange(1, int(timeline.FieldAll|timeline.FieldInterval)).Draw(t, "fields")),
		}).Draw(t, "recorded")
		v := sim.NewVerifier(rules, sim.VerifierOptions{Recorded: true, IntervalUnit: -1})
		met := map[string]bool{}
		var said []string
		for i, e := range drawEnd(t, log) {
			e.Expect.Fields = fields
			if e.Event.Kind() == rotation.KindSetInterval {
				e.Expect.Fields &^= timeline.FieldInterval
			}
			if x := e.Expect; !met[e.Card] && x.Reason == rotation.ReasonUnchanged && x.Next.Equal(e.Event.At().Add(x.Interval)) {
				t.Skip("the interval in force, set again exactly an interval before the slot")
			}
			f := must.Get(v.Apply(e))(t)
			if !met[e.Card] && f.Verdict == sim.VerdictAgrees {
				looksNew++
			}
			met[e.Card] = true
			said = append(said, fmt.Sprintf("%s %v %s: verdict %d", e.Card, e.Event, e.Expect, f.Verdict))
			if f.Verdict == sim.VerdictDiffers {
				t.Fatalf("%v:\n%s\nentry %d: %s %v %s: differs: %v %s", rules, strings.Join(said, "\n"), i, e.Card, e.Event, e.Expect, f.Differences, f.Explanation)
			}
		}
	})
	if looksNew < 20 {
		t.Errorf("only %d cards look new", looksNew)
	}
}

// A system that records a part of its decisions, and the interval or not, never
// differs either, wherever its log begins.
func TestVerifier_AcceptsEverySubsetOfFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		log := drawLog(t, rules, 60)
		fields := timeline.Field(rapid.IntRange(0, int(timeline.FieldAll|timeline.FieldInterval)).Draw(t, "fields"))
		v := sim.NewVerifier(rules, sim.VerifierOptions{Partial: true, IntervalUnit: -1})
		for i, e := range drawEnd(t, log) {
			e.Expect.Fields = fields
			if e.Event.Kind() == rotation.KindSetInterval {
				e.Expect.Fields &^= timeline.FieldInterval
			}
			if f := must.Get(v.Apply(e))(t); f.Verdict == sim.VerdictDiffers {
				t.Fatalf("entry %d: %v %s: differs: %v %s", i, e.Event, e.Expect, f.Differences, f.Explanation)
			}
		}
	})
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
		v := sim.NewVerifier(rules, sim.VerifierOptions{Recorded: rapid.Bool().Draw(t, "recorded")})
		met, latest := make(map[string]bool), start
		for i, e := range log {
			f := must.Get(v.Apply(e))(t)
			want := sim.VerdictAgrees
			if i == altered {
				want = sim.VerdictDiffers
			}
			if f.Verdict == sim.VerdictUnknown && i == altered && !met[e.Card] {
				return // as the first record of a card, it could be of a log's middle
			}
			if at := e.Event.At(); at.After(latest) && !met[e.Card] {
				latest = at
			}
			if slot, named := e.Event.Slot(); f.Verdict == sim.VerdictUnknown && i == altered && named && !slot.After(latest) {
				return // and so could a slot from before the log be served
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
		{"a slot from before the log, again, after a record that fits a new card", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:10:00Z A auto slot=2026-11-23T14:00:00Z => rotate=false reschedule=false reason=duplicate scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:00:00Z
2026-11-24T15:10:00Z A auto slot=2026-11-24T15:00:00Z => rotate=true reschedule=false reason=guard scenario=0 missed=0 next=2026-11-25T15:00:00Z`, false,
			"agrees unknown agrees differs"},
		{"the same within the guard", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:01:00Z A auto slot=2026-11-23T14:00:00Z => rotate=false reschedule=false reason=duplicate scenario=0 missed=0 next=2026-11-24T15:00:00Z`, false,
			"agrees unknown"},
		{"but a slot after the log began was never served before it", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:10:00Z A auto slot=2026-11-23T15:05:00Z => rotate=false reschedule=false reason=duplicate scenario=0 missed=0 next=2026-11-24T15:00:00Z`, false,
			"agrees differs"},
		{"and by hand it is a difference", `
2026-11-23T15:00:00Z A set_interval interval=24h
2026-11-23T15:10:00Z A auto slot=2026-11-23T14:00:00Z => rotate=false reason=duplicate`, false,
			"silent differs"},
		{"also after a difference", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:02:00Z A forced => rotate=true reschedule=false reason=guard scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:10:00Z A auto slot=2026-11-23T14:00:00Z => rotate=false reschedule=false reason=duplicate scenario=0 missed=0 next=2026-11-24T15:00:00Z`, false,
			"agrees differs unknown"},
		{"the inclusive guard of a log that begins with its card", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T15:00:00Z
2026-11-23T15:02:00Z A forced => rotate=true reschedule=false reason=guard scenario=0 missed=0 next=2026-11-24T15:00:00Z`, false,
			"agrees differs"},
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
		{"after a difference, an inferred interval is inferred again", `
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
		{"a schedule that is gone, but was not turned off", `
2026-11-23T15:00:00Z A forced => rotate=true next=2026-11-24T15:00:00Z
2026-11-23T16:00:00Z A forced => rotate=true next=null`, true, "unknown differs"},
		{"a clock that steps back in the log", `
2026-11-23T15:00:00Z A auto => rotate=true interval=24h
2026-11-23T14:00:00Z A auto slot=2026-11-23T13:00:00Z => rotate=false interval=24h next=2026-11-24T15:00:00Z`, true,
			"unknown unknown"},
		{"and leaves it open whether a later slot was served", `
2026-11-23T15:00:00Z A auto slot=2026-11-23T16:00:00Z => rotate=false reason=not_due next=2026-11-23T16:00:00Z
2026-11-23T14:00:00Z A set_interval interval=30m => reschedule=true next=2026-11-23T14:30:00Z
2026-11-23T14:30:00Z A auto slot=2026-11-23T14:30:00Z => reschedule=true next=2026-11-23T15:00:00Z
2026-11-23T15:30:00Z A auto slot=2026-11-23T14:50:00Z => rotate=false reason=duplicate next=2026-11-23T15:00:00Z`, true,
			"unknown unknown agrees unknown"},
		{"also if nothing is known", `
2026-11-23T15:00:00Z A forced => rotate=true
2026-11-23T14:00:00Z A auto => rotate=true
2026-11-23T15:30:00Z A auto slot=2026-11-23T14:50:00Z => reason=duplicate`, true, "unknown unknown unknown"},
		{"an interval set again with its next slot", `
2026-11-23T15:00:00Z A set_interval interval=24h first=2026-11-24T09:00:00Z => reschedule=false`, true, "unknown"},
		{"entries that record nothing", `
2026-11-23T15:00:00Z A forced
2026-11-23T15:01:00Z A forced => rotate=true`, true, "silent unknown"},
		{"a drift in a log from the middle: served 3 s late, and the next slot counted from there", `
2026-11-23T15:00:03Z A auto slot=2026-11-23T15:00:00Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:03Z
2026-11-24T15:00:06Z A auto slot=2026-11-24T15:00:03Z => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:00:06Z`, false,
			"differs:drift differs:drift"},
		{"the same without slots", `
2026-11-23T15:00:03Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:03Z
2026-11-24T15:00:06Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:00:06Z
2026-11-25T15:00:09Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-26T15:00:09Z`, true,
			"unknown differs:drift differs:drift"},
		{"the same with next alone, and the interval", `
2026-11-23T15:00:03Z A auto => interval=24h next=2026-11-24T15:00:03Z
2026-11-24T15:00:06Z A auto => interval=24h next=2026-11-25T15:00:06Z`, true,
			"unknown differs:drift"},
		{"a card forced at other times has a whole interval", `
2026-11-23T15:00:03.5Z A forced => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-24T15:00:03.5Z
2026-11-24T15:00:04Z A auto => rotate=true reschedule=true reason=scheduled scenario=0 missed=0 next=2026-11-25T15:00:03.5Z`, true,
			"unknown agrees"},
		{"a wrong next of the first set_interval", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T16:00:00Z`, false,
			"differs:clock step"},
		{"the same in a log from the middle", `
2026-11-23T15:00:00Z A set_interval interval=24h => rotate=false reschedule=true reason=interval_set scenario=0 missed=0 next=2026-11-24T14:00:00Z`, true,
			"differs:other"},
		{"one fault is one difference: the record is adopted", `
2026-11-23T15:00:00Z A set_interval interval=24h => next=2026-11-24T15:00:00Z
2026-11-23T15:02:00Z A forced => reschedule=false next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => reschedule=true next=2026-11-25T15:00:00Z
2026-11-24T16:00:00Z A forced => reschedule=true next=2026-11-25T16:00:00Z`, false,
			"agrees differs:inclusive guard agrees agrees"},
		{"one wrong record is one difference: the card was right", `
2026-11-23T15:00:00Z A set_interval interval=24h => next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => next=2026-11-25T16:00:00Z
2026-11-25T15:00:00Z A auto slot=2026-11-25T15:00:00Z => next=2026-11-26T15:00:00Z`, false,
			"agrees differs:clock step agrees"},
		{"a slot not served does not start the guard", `
2026-11-23T15:00:00Z A set_interval interval=24h => next=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z A auto slot=2026-11-24T15:00:00Z => rotate=false
2026-11-24T15:00:10Z A forced => reschedule=true reason=scheduled next=2026-11-25T15:00:10Z`, false,
			"agrees differs:other unknown"},
		{"a slot served twice", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T16:00:00Z A auto slot=2026-11-23T16:00:00Z => rotate=true
2026-11-23T16:00:01Z A auto slot=2026-11-23T16:00:00Z => rotate=true
2026-11-23T17:00:00Z A auto slot=2026-11-23T17:00:00Z => rotate=true`, false,
			"silent agrees differs:served twice agrees"},
		{"a slot served early", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T15:59:58Z A auto slot=2026-11-23T16:00:00Z => rotate=true next=2026-11-23T17:00:00Z`, false,
			"silent differs:served early"},
		{"the same without the slot", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T15:59:58Z A auto => rotate=true next=2026-11-23T17:00:00Z`, false,
			"silent differs:served early"},
		{"a lost slot: the next one is served", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T17:00:00Z A auto slot=2026-11-23T17:00:00Z => rotate=true
2026-11-23T18:00:00Z A auto slot=2026-11-23T18:00:00Z => rotate=true`, false,
			"silent differs:lost slot unknown"},
		{"a lost slot: it was not counted", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T17:10:00Z A auto slot=2026-11-23T16:00:00Z => rotate=true missed=0 next=2026-11-23T18:00:00Z`, false,
			"silent differs:lost slot"},
		{"no guard at all", `
2026-11-23T15:00:00Z A set_interval interval=1h
2026-11-23T15:01:00Z A forced => reschedule=true next=2026-11-23T16:01:00Z`, false,
			"silent differs:another guard"},
		{"a next that a column rounded", `
2026-11-23T15:00:00.123456789Z A set_interval interval=1h => next=2026-11-23T16:00:00.123457Z`, false,
			"differs:precision lost in a column"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.log), "test")
			v := sim.NewVerifier(rotation.Rules{}, sim.VerifierOptions{Partial: tt.partial})
			var got []string
			for {
				e, err := r.Next()
				if err != nil {
					break
				}
				f := must.Get(v.Apply(e))(t)
				verdict := []string{"silent", "agrees", "differs", "unknown"}[f.Verdict]
				if f.Verdict == sim.VerdictDiffers && strings.Contains(tt.want, ":") {
					verdict += ":" + f.Mistake.String()
				}
				got = append(got, verdict)
			}
			if fmt.Sprint(got) != "["+tt.want+"]" {
				t.Errorf("verdicts %v, want [%s]", got, tt.want)
			}
		})
	}
}

// TestVerifier_NamesNoArbitraryValue: where a card is known in part, only what the rules
// decide in each of its possible states is printed as theirs.
func TestVerifier_NamesNoArbitraryValue(t *testing.T) {
	const depends = "another value, which depends on what came before the log"
	for _, tt := range []struct {
		name, log, want string // FIELD: GOT of the last entry
		not             string // in its explanation
	}{
		{"rotate is certain", "2026-11-23T15:00:00Z A forced => rotate=false next=2026-11-24T14:00:00Z", "rotate: true", "2036"},
		{"next of a new interval is certain", "2026-11-23T15:00:00Z A set_interval interval=24h => reason=interval_set next=2026-11-24T14:00:00Z", "next: 2026-11-24T15:00:00Z", "2036"},
		{"next of a schedule that is kept is certain", `2026-11-23T15:00:00Z A forced => rotate=true next=2026-11-24T15:00:00Z
2026-11-23T15:00:10Z A forced => rotate=true next=2026-11-24T19:00:00Z`, "next: 2026-11-24T15:00:00Z", "2036"},
		{"next depends on the interval", `2026-11-23T15:00:00Z A forced => rotate=true
2026-11-23T18:00:10Z A auto => next=2026-11-23T18:00:10Z`, "next: " + depends, "2036"},
		{"missed depends on the slot", `2026-11-23T15:00:00Z A forced => rotate=true
2026-11-23T18:00:10Z A auto => rotate=true missed=-1`, "missed: " + depends, "2036"},
		{"the explanation has no slot either", "2026-11-23T15:00:00Z A forced => reason=guard scenario=0 reschedule=true", "reason: scheduled", "2036"},
		{"the scenario may be any", "2026-11-23T15:00:00Z A forced => rotate=true reason=guard scenario=9", "scenario: 3, 1 or 0", "2036"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.log), "test")
			v := sim.NewVerifier(rotation.Rules{}, sim.VerifierOptions{Partial: true})
			var last sim.Finding
			for e, err := r.Next(); err == nil; e, err = r.Next() {
				last = must.Get(v.Apply(e))(t)
			}
			var got []string
			for _, d := range last.Differences {
				got = append(got, d.Field+": "+d.Got)
			}
			if strings.Join(got, "; ") != tt.want || strings.Contains(last.Explanation, tt.not) {
				t.Errorf("%q, %s; want %q", got, last.Explanation, tt.want)
			}
		})
	}
}

// Events with numbers: the daemon's.
func TestVerifier_EventNumbers(t *testing.T) {
	at := func(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }
	auto := func(number int64, hour int) timeline.Entry {
		return timeline.Entry{Card: "A", Number: number, Event: rotation.AutoUnslotted(at(hour)),
			Expect: timeline.Expect{Fields: timeline.FieldRotate | timeline.FieldNext | timeline.FieldInterval, Rotate: true, Next: at(hour + 1), Interval: time.Hour}}
	}
	on := timeline.Entry{Card: "A", Number: 1, Event: rotation.SetInterval(start, time.Hour), Expect: timeline.Expect{Fields: timeline.FieldNext, Next: at(1)}}
	wrong := auto(3, 2)
	wrong.Expect.Next = at(5)
	for _, tt := range []struct {
		name    string
		log     []timeline.Entry
		want    []sim.Verdict
		missing int64
	}{
		{"from the first event on", []timeline.Entry{on, auto(2, 1), auto(3, 2)}, []sim.Verdict{sim.VerdictAgrees, sim.VerdictAgrees, sim.VerdictAgrees}, 0},
		{"from a later one", []timeline.Entry{auto(7, 1), auto(8, 2)}, []sim.Verdict{sim.VerdictUnknown, sim.VerdictAgrees}, 0},
		{"one delivered again", []timeline.Entry{on, auto(2, 1), auto(2, 1), on, auto(3, 2)}, []sim.Verdict{sim.VerdictAgrees, sim.VerdictAgrees, sim.VerdictRepeated, sim.VerdictRepeated, sim.VerdictAgrees}, 0},
		{"one number for two events", []timeline.Entry{on, auto(2, 1), auto(2, 2), auto(3, 2)}, []sim.Verdict{sim.VerdictAgrees, sim.VerdictAgrees, sim.VerdictDiffers, sim.VerdictAgrees}, 0},
		{"two missing", []timeline.Entry{on, auto(4, 3), auto(5, 4)}, []sim.Verdict{sim.VerdictAgrees, sim.VerdictUnknown, sim.VerdictAgrees}, 2},
		{"a wrong one", []timeline.Entry{on, auto(2, 1), wrong}, []sim.Verdict{sim.VerdictAgrees, sim.VerdictAgrees, sim.VerdictDiffers}, 0},
		{"the first is wrong", []timeline.Entry{{Card: "A", Number: 1, Event: on.Event, Expect: timeline.Expect{Fields: timeline.FieldAll, Reason: rotation.ReasonIntervalSet, Reschedule: true, Next: at(2)}}}, []sim.Verdict{sim.VerdictDiffers}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := sim.NewVerifier(rotation.Rules{}, sim.VerifierOptions{Recorded: true, IntervalUnit: time.Hour})
			var got []sim.Verdict
			missing := int64(0)
			for _, e := range tt.log {
				f := must.Get(v.Apply(e))(t)
				got, missing = append(got, f.Verdict), missing+f.Missing
			}
			if !slices.Equal(got, tt.want) || missing != tt.missing {
				t.Errorf("verdicts %v, %d missing; want %v, %d", got, missing, tt.want, tt.missing)
			}
		})
	}
}

// Of a card that is not known whole, too, the same log has the same findings.
func TestVerifier_FindsTheSameEachTime(t *testing.T) {
	const log = `
2026-11-23T15:00:00Z A auto slot=2026-11-23T14:00:00Z => rotate=true next=2026-11-24T15:00:00Z
2026-11-23T16:00:00Z A forced => rotate=false reason=duplicate next=2026-11-23T15:30:00Z
2026-11-23T16:01:00Z A auto slot=2026-11-23T11:00:00Z => rotate=true reschedule=true next=2026-11-23T16:01:30Z`
	first := ""
	for range 50 {
		r := timeline.NewReader(strings.NewReader(log), "test")
		v := sim.NewVerifier(rotation.Rules{}, sim.VerifierOptions{Partial: true})
		var got strings.Builder
		for {
			e, err := r.Next()
			if err != nil {
				break
			}
			fmt.Fprintf(&got, "%+v\n", must.Get(v.Apply(e))(t))
		}
		if first == "" {
			first = got.String()
		}
		if got.String() != first {
			t.Fatalf("once\n%s\nthen\n%s", first, &got)
		}
	}
}
