package model_test

import (
	"fmt"
	"time"

	"cvvrotation/sim/model"
)

// A second forced call within the guard rotates, but keeps the schedule.
func Example() {
	card, err := model.New(model.Rules{Guard: 2 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range []model.Event{
		{Kind: model.SetInterval, At: threePM.Add(-time.Hour), Interval: 24 * time.Hour},
		{Kind: model.Forced, At: threePM},
		{Kind: model.Forced, At: threePM.Add(time.Minute)},
	} {
		out, err := card.Step(e)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(out.Rule, out.Reason, out.Rotate, out.Next.Time.Format("Jan 2 15:04"))
	}
	// Output:
	// R8 interval_set false Nov 23 14:00
	// R3 scheduled true Nov 23 15:00
	// R2 guard true Nov 23 15:00
}
