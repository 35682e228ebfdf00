package check_test

import (
	"context"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
)

// The rules hold in a small campaign; a shipped bug is found and shrunk.
func Example() {
	rules := check.Rules(rotation.Rules{})
	r := check.Campaign(rules, check.Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 20})
	fmt.Println(r.Runs, "runs, failure:", r.Failure != nil)

	bug, _ := check.FindBug("forced-held-refused")
	f := check.Campaign(bug.System(), bug).Run(context.Background(), campaign.Options{First: 1, Last: 20}).Failure
	fmt.Printf("%v: %s breaks %s\n", f.Invariant, bug.Name, f.Invariant.Rule())
	for _, e := range f.Events {
		fmt.Println(time.Unix(0, e.At).UTC().Format(time.TimeOnly), e)
	}
	fmt.Println("answer:", f.Outcome.Rotated, f.Outcome.Reason)
	// Output:
	// 20 runs, failure: false
	// s1: forced-held-refused breaks S1
	// 15:00:00 set_interval interval=24h
	// 15:01:00 auto
	// 15:02:00 forced
	// answer: false guard
}
