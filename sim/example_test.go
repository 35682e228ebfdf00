package sim_test

import (
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

// A forced call in flight of an automatic rotation: the virtual clock fires the
// slot of 15:00 two seconds late, after the call has moved the schedule (S2).
func ExampleLoop() {
	until := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	loop, err := sim.NewLoop(rotation.Rules{}, until, 2*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(s sim.Step) error {
		_, err := fmt.Println(s.Entry.Event.At().Format(time.TimeOnly), s.Entry.Event.Kind(), s.Decision)
		return err
	}
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, e := range []rotation.Event{
		rotation.SetInterval(start, 24*time.Hour),
		rotation.Forced(start.Add(24*time.Hour + time.Second)),
	} {
		if err := loop.Apply(timeline.Entry{Card: "A", Event: e}, show); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(loop.Finish(show))
	// Output:
	// 15:00:00 set_interval R8 interval_set
	// 15:00:01 forced R3 scheduled
	// 15:00:02 auto R14 guard, scenario 2
	// <nil>
}

// The log of a system whose guard is inclusive: its second call came at exactly
// two minutes, and must have been scheduled.
func ExampleVerifier() {
	log := timeline.NewReader(strings.NewReader(`
{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24h","next":"2026-11-23T15:00:00Z"}
{"at":"2026-11-22T15:02:00Z","card":"A","event":"forced","reschedule":false,"next":"2026-11-23T15:00:00Z"}
`), "decisions.jsonl")
	verifier := sim.NewVerifier(rotation.Rules{}, sim.VerifierOptions{})
	for {
		entry, err := log.Next()
		if err != nil {
			break // io.EOF
		}
		finding, err := verifier.Apply(entry)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, d := range finding.Differences {
			fmt.Printf("line %d, %s: recorded %s, right %s\n", entry.Line, d.Field, d.Want, d.Got)
		}
	}
	// Output:
	// line 3, reschedule: recorded false, right true
	// line 3, next: recorded 2026-11-23T15:00:00Z, right 2026-11-23T15:02:00Z
}
