package enginecheck

import (
	"bytes"
	"context"
	"cvvrotation/sim/check/campaign"
	"flag"
	"fmt"
	"os"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/bugs.txt anew; look at the difference")

// Every bug is found: by which invariant, in the run of which seed, shrunk to
// how many steps. The table is testdata/bugs.txt.
func TestBugs(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tinvariant\tseed\tsteps\tshrunk to")
	for _, b := range Bugs() {
		f := Campaign(b).Run(context.Background(), campaign.Options{First: 1, Last: 500, Workers: 1}).Failure
		if f == nil {
			t.Errorf("%s is not found", b.Name)
			continue
		}
		if f.Detail == "" || f.Steps > 12 || len(f.Journal) == 0 {
			t.Errorf("%s is shrunk to %d steps: %s\n%v", b.Name, f.Steps, f.Detail, f.Journal)
		}
		fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%d\n", b.Name, f.Invariant, f.Seed, f.Found, f.Steps)
	}
	w.Flush()
	const golden = "testdata/bugs.txt"
	if *update {
		if err := os.WriteFile(golden, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), table.String()); diff != "" {
		t.Errorf("run go test ./sim/check/enginecheck -run TestBugs -update and look at the difference:\n%s", diff)
	}
}
