// Package golden compares what a test produced with a golden file.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/sim/must"
)

var update = flag.Bool("update", false, "write the golden files; review the difference")

// Check reports a difference between got and the file. With -update it writes
// the file first.
func Check(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		must.Do(t, os.WriteFile(file, got, 0o644))
	}
	want := must.Get(os.ReadFile(file))(t)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); run the test with -update and review the difference:\n%s", file, diff)
	}
}
