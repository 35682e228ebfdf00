package enginecheck

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"text/tabwriter"

	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/internal/golden"
)

// The table is testdata/bugs.txt: the invariant that each bug breaks, the seed,
// and the steps before and after shrinking.
func TestBugs_AreFoundAndShrunk(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tinvariant\tseed\tsteps\tshrunk to")
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) {
			f := Campaign(b).Run(context.Background(), campaign.Options{First: 1, Last: 500, Workers: 1}).Failure
			if f == nil {
				t.Fatal("not found")
			}
			if f.Detail == "" || f.Steps > 12 || len(f.Journal) == 0 {
				t.Errorf("shrunk to %d steps: %s\n%v", f.Steps, f.Detail, f.Journal)
			}
			fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%d\n", b.Name, f.Invariant, f.Seed, f.Found, f.Steps)
		})
	}
	w.Flush()
	golden.Check(t, "testdata/bugs.txt", table.Bytes())
}
