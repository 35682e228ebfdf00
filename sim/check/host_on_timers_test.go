package check

import (
	"context"
	"strings"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// Nodes with package rotation/timers lose no wake-up, and the seed decides each run.
func TestCampaign_HoldsOnTimers(t *testing.T) {
	r := Campaign(OnTimers(rotation.Rules{}), Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: 150, Twice: true})
	if r.Failure != nil {
		t.Fatalf("seed %d, %s\n%s\n%s", r.Failure.Seed, r.Failure.Options, r.Failure.Paragraph(), strings.Join(r.Failure.Journal, "\n"))
	}
	if r.Unstable != nil {
		t.Errorf("not the same run twice: %+v", r.Unstable)
	}
}
