// Command embed is a service of another module that embeds the card packages.
// It builds offline, with nothing beyond the standard library.
package main

import (
	"fmt"
	"log"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

func main() {
	var rules rotation.Rules
	var digits cvvgen.Random
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	state, decision, err := rules.Decide(rotation.State{}, rotation.Forced(now))
	if err != nil {
		log.Fatal(err)
	}
	code := servicecode.RandomAssigned(servicecode.Code{})
	cvv := digits.Next(cvvgen.CVV{})
	fmt.Println(decision, state, code.IsAssigned(), cvv)
}
