package enginecheck_test

import (
	"context"
	"fmt"

	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/check/enginecheck"
)

// A store that writes no event for a rotation in a batch is found and shrunk.
func ExampleCampaign() {
	bug, _ := enginecheck.FindBug("event-lost")
	f := enginecheck.Campaign(bug).Run(context.Background(), campaign.Options{First: 1, Last: 500}).Failure
	fmt.Printf("%s breaks %v in the run of seed %d, shrunk to %d step\n", bug.Name, f.Invariant, f.Seed, f.Steps)
	// Output: event-lost breaks one-event in the run of seed 1, shrunk to 1 step
}
