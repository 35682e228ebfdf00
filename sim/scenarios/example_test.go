package scenarios_test

import (
	"fmt"

	"cvvrotation/sim/scenarios"
)

func ExampleFind() {
	s, ok := scenarios.Find("scenario-1")
	fmt.Println(s.Title, ok)
	// Output: Scenario 1: forced less than 2 minutes after an automatic rotation true
}
