package draw_test

import (
	"fmt"
	"os"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/timeline"
)

func ExampleNewText() {
	var rules rotation.Rules
	replay := sim.NewReplay(rules)
	text := draw.NewText(os.Stdout, rules, draw.TextOptions{NoKey: true})
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, e := range []rotation.Event{
		rotation.SetInterval(start, 24*time.Hour),
		rotation.Forced(start.Add(time.Hour)),
	} {
		step, err := replay.Apply(timeline.Entry{Card: "A", Event: e})
		if err == nil {
			err = text.Step(step)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(text.Close())
	// Output:
	// CVV rotations in the order of delivery. Guard: no new schedule within 2m of the previous request.
	//
	// date        time UTC  card  event               since the previous request  schedule  next rotation
	// 2026-11-22  15:00:00  A     ■ set_interval 24h                              new       → 2026-11-23 15:00:00  in 24h
	//             16:00:00  A     ▲ forced                            1h          new       → 2026-11-23 16:00:00  in 24h
	//
	// 2 events of 1 card: 1 rotation; schedules: 2 new, 0 kept.
	// <nil>
}
