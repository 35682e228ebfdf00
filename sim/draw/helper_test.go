package draw

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

var update = flag.Bool("update", false, "rewrite the golden files; review the difference")

// drawn are the timelines of the golden files.
var drawn = map[string]string{
	"three_pm": `
# The documentation's own example: forced at 3 PM, then 3 PM every day.
2026-11-22T08:00:00Z  A  set_interval interval=24h
2026-11-22T15:00:00Z  A  forced service_code=201
2026-11-23T15:00:00Z  A  auto slot=2026-11-23T15:00:00Z
2026-11-24T15:00:00Z  A  auto slot=2026-11-24T15:00:00Z`,

	"s1": `
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-23T15:00:00Z  A  auto
+1m59.999999999s      A  forced
2026-11-22T15:00:00Z  B  set_interval interval=24h
2026-11-23T15:00:00Z  B  auto
+2m                   B  forced`,

	"s2": `
2026-11-22T15:00:00Z             A  set_interval interval=24h
2026-11-23T14:58:00.000000001Z   A  forced
2026-11-23T15:00:00Z             A  auto slot=2026-11-23T15:00:00Z
2026-11-22T15:00:00Z             B  set_interval interval=24h
2026-11-23T14:58:00Z             B  forced
2026-11-23T15:00:00Z             B  auto slot=2026-11-23T15:00:00Z`,

	"s3": `
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-22T18:00:00Z  A  forced
+30s                  A  forced service_code=101
+1m29.999999999s      A  forced service_code=201
+2m                   A  forced service_code=221`,

	"chain": `
# Each request restarts the guard.
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-23T14:59:00Z  A  forced
+1m30s                A  auto slot=2026-11-23T15:00:00Z
+1m                   A  forced`,

	"late": `
# Nothing ran for three days.
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-26T09:12:30Z  A  auto slot=2026-11-23T15:00:00Z
2026-11-26T15:00:00Z  A  auto slot=2026-11-26T15:00:00Z`,

	"duplicate": `
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-23T15:00:00Z  A  auto slot=2026-11-23T15:00:00Z
+0s                   A  auto slot=2026-11-23T15:00:00Z
+1s                   A  auto slot=2026-11-23T15:00:00Z
+4s                   A  set_interval interval=24h
2026-11-23T18:00:00Z  A  forced
2026-11-24T14:59:59Z  A  auto slot=2026-11-24T15:00:00Z
2026-11-24T15:00:00Z  A  auto slot=2026-11-24T15:00:00Z
2026-11-24T16:00:00Z  A  disable
2026-11-24T18:00:00Z  A  auto slot=2026-11-24T18:00:00Z
+1s                   A  forced`,

	"clock_back": `
# The host's clock is set back, first by a little, then by an hour.
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-22T18:00:00Z  A  forced
2026-11-22T17:59:30Z  A  forced
2026-11-22T17:00:00Z  A  forced
2026-11-22T18:00:10Z  A  forced`,

	"two_cards": `
2026-11-22T15:00:00Z  card-7  set_interval interval=24h
2026-11-22T15:00:30Z  card-8  set_interval interval=12h
2026-11-22T16:00:00Z  card-7  forced service_code=201
2026-11-22T16:01:00Z  card-8  forced
2026-11-22T16:02:00Z  card-7  forced
2026-11-22T16:02:30Z  card-8  forced
2026-11-23T04:01:00Z  card-8  auto slot=2026-11-23T04:01:00Z
2026-11-23T16:00:00Z  card-7  auto slot=2026-11-23T16:00:00Z`,

	"hostile": `
{"at":"2026-11-22T15:00:00Z","card":"<b>&\"\u001b[31m\u202e\u0007","event":"set_interval","interval":"24h"}
{"at":"2026-11-22T16:00:00Z","card":"` + strings.Repeat("long-", 40) + `","event":"set_interval","interval":"87600h"}
{"at":"2026-11-22T16:00:00Z","card":"\n]]>\\ 卡片","event":"forced"}`,

	"empty": "\n",
}

func init() {
	var five strings.Builder
	for i, card := range []string{"alpha", "bravo", "charlie", "delta", "echo"} {
		minute := string(rune('0' + i))
		five.WriteString("2026-11-22T08:0" + minute + ":00Z " + card + " set_interval interval=8h\n")
	}
	five.WriteString(`
2026-11-22T12:00:00Z bravo   forced service_code=201
2026-11-22T12:01:00Z delta   forced
2026-11-22T12:01:45Z bravo   forced
2026-11-22T16:00:00Z alpha   auto slot=2026-11-22T16:00:00Z
2026-11-22T16:00:50Z alpha   forced
2026-11-22T16:02:00Z charlie auto slot=2026-11-22T16:02:00Z
2026-11-22T16:04:00Z echo    disable
2026-11-22T20:00:00Z bravo   auto slot=2026-11-22T20:00:00Z
2026-11-22T20:01:00Z delta   auto slot=2026-11-22T20:01:00Z
2026-11-22T20:01:00Z delta   auto slot=2026-11-22T20:01:00Z
`)
	drawn["five_cards"] = five.String()

	var sixty strings.Builder
	sixty.WriteString("2026-11-22T08:00:00Z A set_interval interval=6h\n2026-11-22T08:00:00Z B set_interval interval=4h\n")
	for i := range 58 {
		gap := []string{"+20s", "+47s", "+2m", "+5h", "+1m59s", "+17m"}[i*7%6]
		if i%5 == 4 {
			gap = "+90m"
		}
		sixty.WriteString(gap + " " + []string{"A", "B", "A"}[i%3] + " " + []string{"forced", "auto"}[i/2%2] + "\n")
	}
	drawn["sixty"] = sixty.String()
}

// replay returns the rules and steps of a timeline.
func replay(t testing.TB, text string) (rotation.Rules, []sim.Step) {
	t.Helper()
	r := timeline.NewReader(strings.NewReader(text), "test")
	rules := must.Get(r.Rules())(t)
	re := sim.NewReplay(rules)
	var steps []sim.Step
	for {
		e, err := r.Next()
		if err == io.EOF {
			return rules, steps
		}
		must.Do(t, err)
		s := must.Get(re.Apply(e))(t)
		steps = append(steps, s)
	}
}

// report is a report of one section.
func report(title string, rules rotation.Rules, steps []sim.Step) Report {
	return Report{Title: title, Sections: []Section{{Rules: rules, Steps: steps}}}
}

// golden compares got with the file of that name below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		must.Do(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want := must.Get(os.ReadFile(file))(t)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); run with -update when it is meant:\n%s", file, diff)
	}
}

// hostileCards are ids that want to get out of the drawing, or to break it.
var hostileCards = []string{
	"A", "B", "card-7",
	"<b>&\"'</text><script>alert(1)</script>", "]]>", "--><x onload=alert(1)>", "{{.}}",
	"\x1b[31mred\x07\r\n\t\x00", "\u202eright\u2028\u2029\u200b\ufeff", "\xff\xfe\xed\xa0\x80", "\\", "\u009b2J",
	"卡片", "e\u0301", strings.Repeat("long-", 500), strings.Repeat("\x01", 400),
}

// A played is a random timeline with what came of it.
type played struct {
	rules rotation.Rules
	steps []sim.Step
}

// GoString is how rapid shows a failing one.
func (p played) GoString() string {
	var b strings.Builder
	w := timeline.NewWriter(&b, timeline.SpellingJSONL, p.rules)
	for _, s := range p.steps {
		if err := w.Write(s.Entry); err != nil {
			b.WriteString(err.Error() + "\n")
		}
	}
	return b.String()
}

// timelines draws random timelines: gaps crowd the guard's boundaries, clocks
// step back, slots are right, stale or invented. What the rules refuse is left out.
func timelines(maxEvents int) *rapid.Generator[played] {
	return rapid.Custom(func(t *rapid.T) played {
		guard := rapid.SampledFrom([]time.Duration{rotation.DefaultGuard, rotation.DefaultGuard, 0, time.Nanosecond, time.Hour}).Draw(t, "guard")
		from := rapid.SampledFrom([]rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling}).Draw(t, "from")
		rules := must.Get(rotation.NewRules(guard, from))(t)
		p := played{rules: rules}
		replay := sim.NewReplay(rules)
		cards := rapid.SliceOfNDistinct(rapid.SampledFrom(hostileCards), 1, 5, rapid.ID).Draw(t, "cards")
		gaps := []time.Duration{
			0, 1, time.Second, guard - 1, guard, guard + 1, guard / 2, 3 * guard, -guard, -guard / 2, -guard - 1,
			24 * time.Hour, 24*time.Hour - guard, 400 * 24 * time.Hour, -time.Hour, 1234567 * time.Microsecond,
		}
		at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
		slots := []time.Time{at}
		for range rapid.IntRange(0, maxEvents).Draw(t, "events") {
			at = at.Add(rapid.SampledFrom(gaps).Draw(t, "gap"))
			e := timeline.Entry{Card: rapid.SampledFrom(cards).Draw(t, "card")}
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0, 1:
				e.Event = rotation.Forced(at)
				if rapid.Bool().Draw(t, "with a code") {
					e.ServiceCode = servicecode.MustParse("201")
				}
			case 2:
				e.Event = rotation.AutoUnslotted(at)
			case 3, 4:
				e.Event = rotation.AutoSlot(at, rapid.SampledFrom(slots).Draw(t, "slot"))
			case 5:
				hours := rapid.SampledFrom([]time.Duration{2, 24, 87600}).Draw(t, "hours")
				e.Event = rotation.SetInterval(at, hours*time.Hour)
			default:
				e.Event = rotation.Disable(at)
			}
			s, err := replay.Apply(e)
			if err != nil {
				continue
			}
			if next, on := s.After.Next(); on {
				slots = append(slots, next)
			}
			p.steps = append(p.steps, s)
		}
		return p
	})
}

// cannotWrite is a writer that fails once so many bytes have been written.
type cannotWrite struct{ after int }

var errCannotWrite = errors.New("disk full")

func (w *cannotWrite) Write(p []byte) (int, error) {
	if len(p) > w.after {
		return 0, errCannotWrite
	}
	w.after -= len(p)
	return len(p), nil
}
