package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"

	"cvvrotation/sim/must"
)

// TestOperatingManual_ChancesOfGuessing computes the table of the manual by its closed
// form, for CVVs of 3 digits. That the engine allows no more guesses is tested there.
func TestOperatingManual_ChancesOfGuessing(t *testing.T) {
	manual := must.Get(os.ReadFile("../../../../docs/operating.md"))(t)
	rows := regexp.MustCompile(`(?m)^\| (\d+)(?: \(default\))? \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$`).FindAllStringSubmatch(string(manual), -1)
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		tries := float64(must.Get(strconv.Atoi(row[1]))(t))
		for i, want := range []float64{
			math.Min(1, tries*1/1000), math.Min(1, tries*7/1000), 1 - math.Pow(1-tries/1000, 30),
		} {
			printed := fmt.Sprintf("%.2g", 100*want)
			if got := must.Get(strconv.ParseFloat(row[2+i], 64))(t); fmt.Sprintf("%.2g", got) != printed {
				t.Errorf("%s tries, column %d: %s %%, want %s %%", row[1], i+1, row[2+i], printed)
			}
		}
	}
}
