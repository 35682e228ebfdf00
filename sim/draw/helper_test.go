package draw

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

var update = flag.Bool("update", false, "write the golden files anew; review the difference")

// stories are the timelines that are drawn for the golden files.
var stories = map[string]string{
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
	stories["five_cards"] = five.String()

	var sixty strings.Builder
	sixty.WriteString("2026-11-22T08:00:00Z A set_interval interval=6h\n2026-11-22T08:00:00Z B set_interval interval=4h\n")
	for i := range 58 {
		gap := []string{"+20s", "+47s", "+2m", "+5h", "+1m59s", "+17m"}[i*7%6]
		if i%5 == 4 {
			gap = "+90m"
		}
		sixty.WriteString(gap + " " + []string{"A", "B", "A"}[i%3] + " " + []string{"forced", "auto"}[i/2%2] + "\n")
	}
	stories["sixty"] = sixty.String()
}

// replay returns the rules and steps of a timeline.
func replay(t testing.TB, text string) (rotation.Rules, []sim.Step) {
	t.Helper()
	r := timeline.NewReader(strings.NewReader(text), "test")
	rules, err := r.Rules()
	if err != nil {
		t.Fatal(err)
	}
	re := sim.NewReplay(rules)
	var steps []sim.Step
	for {
		e, err := r.Next()
		if err == io.EOF {
			return rules, steps
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := re.Apply(e)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, s)
	}
}

// golden compares got with the file of that name below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); run with -update when it is meant:\n%s", file, diff)
	}
}
