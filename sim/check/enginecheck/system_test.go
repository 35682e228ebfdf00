package enginecheck

import (
	"context"
	"testing"

	"cvvrotation/sim/check"
)

// The engine follows the rules, through the faults of its store: the trace is
// that of the rules themselves.
func TestSystem(t *testing.T) {
	const seeds = 100
	got := check.Campaign{System: System(), First: 1, Last: seeds}.Run(context.Background())
	if got.Failure != nil {
		t.Fatal(got.Failure.Paragraph())
	}
	t.Log(got.Events, got.Elapsed)
	q := check.Sequences{System: System(), Depth: 2}.Run(context.Background())
	if q.Failure != nil || !q.Done {
		t.Fatal(q.Failure.Paragraph())
	}
	t.Log(q.Events, q.Elapsed)
}
