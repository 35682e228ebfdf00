package enginecheck

import (
	"context"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
)

func TestSystem_LeavesTheTraceOfTheRules(t *testing.T) {
	const seeds = 150
	want := check.Campaign(check.Rules(rotation.Rules{}), check.Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds})
	got := check.Campaign(System(), check.Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds})
	if got.Failure != nil {
		t.Fatal(got.Failure.Paragraph())
	}
	if got.Hash != want.Hash || got.Events != want.Events {
		t.Errorf("hash %x, %d events; the rules: %x, %d", got.Hash, got.Events, want.Hash, want.Events)
	}
	q := check.Sequences(context.Background(), System(), 3)
	if q.Failure != nil || !q.Done {
		t.Fatal(q.Failure.Paragraph())
	}
}
