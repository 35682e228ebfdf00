package servicecode_test

import (
	"encoding/json"
	"fmt"

	"cvvrotation/servicecode"
)

// A code says where, how and with what a card pays.
func Example() {
	c, err := servicecode.Parse("226")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c, "means", c.Describe())
	fmt.Println("chip:", c.Interchange().Chip())
	fmt.Println("online:", c.Authorization().Online())
	fmt.Println("PIN required:", c.Services().PINRequired())
	// Output:
	// 226 means international, chip where feasible; by issuer, online; no restrictions, PIN where feasible
	// chip: true
	// online: true
	// PIN required: false
}

// Any three digits are a code; not every code is assigned.
func ExampleCode_IsAssigned() {
	for _, s := range []string{"101", "381", "000"} {
		c := servicecode.MustParse(s)
		fmt.Printf("%v %v: %s\n", c, c.IsAssigned(), c.Describe())
	}
	// Output:
	// 101 true: international; normal; no restrictions
	// 381 false: reserved interchange digit 3; reserved authorization digit 8; no restrictions
	// 000 false: stand-in for computing a CVV2, not assigned
}

// The zero Code is empty text, in JSON as elsewhere.
func ExampleCode_MarshalText() {
	type card struct {
		Now, Before servicecode.Code
	}
	data, _ := json.Marshal(card{Now: servicecode.MustParse("021")})
	fmt.Println(string(data))
	// Output:
	// {"Now":"021","Before":""}
}

// A new code for the stripe is an assigned one, and another than now.
func ExampleRandomAssigned() {
	current := servicecode.MustParse("201")
	next := servicecode.RandomAssigned(current)
	fmt.Println(next.IsAssigned(), next == current)
	// Output:
	// true false
}

// An error says what is wrong without repeating the input, which may be a
// mistyped secret.
func ExampleParse_error() {
	_, err := servicecode.Parse("2O1")
	fmt.Println(err)
	// Output:
	// servicecode: want three ASCII digits: byte 2 of 3 is not one
}
