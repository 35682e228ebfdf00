package report_test

import (
	"context"
	"fmt"
	"os"

	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/check/report"

	"cvvrotation/rotation"
)

func Example() {
	r := report.New(report.Options{Workers: 1, MinRuns: 1000})
	rules := check.Campaign(check.Rules(rotation.Rules{}), check.Bug{})
	r.AddCampaign(rules.Run(context.Background(), campaign.Options{First: 1, Last: 10}))
	r.Finish(context.Background())
	if err := r.WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// system      the rules (package rotation)
	// campaign    10 runs (seeds 1-10), 2,243 events, trace hash 53b0720c7deb5c1c
	// invariants  34, all of them held
	// coverage    68 of 77 goals met; too few runs to ask for all
	//
	// passed
}
