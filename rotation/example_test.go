package rotation_test

import (
	"encoding/json"
	"fmt"
	"log"
	"time"

	"cvvrotation/rotation"
)

// The complete loop: load, decide, store, and only then act.
func Example() {
	var rules rotation.Rules
	store := map[string]rotation.State{} // a database, in real life

	apply := func(card string, e rotation.Event) error {
		state, decision, err := rules.Decide(store[card], e)
		if err != nil {
			return err // the state is as it was
		}
		store[card] = state // together with the new CVV, if decision.Rotate()
		if next, ok := state.Next(); ok {
			fmt.Printf("%v: rotate %v, wake at %v\n", e.Kind(), decision.Rotate(), next.Format("Jan 2 15:04"))
		}
		return nil
	}

	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, e := range []rotation.Event{
		rotation.SetInterval(threePM.Add(-time.Hour), 24*time.Hour),
		rotation.Forced(threePM),
		rotation.AutoSlot(threePM.Add(24*time.Hour), threePM.Add(24*time.Hour)),
	} {
		if err := apply("card A", e); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// set_interval: rotate false, wake at Nov 23 14:00
	// forced: rotate true, wake at Nov 23 15:00
	// auto: rotate true, wake at Nov 24 15:00
}

// Forced at 3 PM with a 24-hour interval, a card rotates at 3 PM on every day
// after.
func ExampleRules_Decide() {
	var rules rotation.Rules
	morning := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(morning, 24*time.Hour))
	card, _, _ = rules.Decide(card, rotation.Forced(threePM))
	for range 3 {
		slot, _ := card.Next()
		fmt.Println(slot)
		card, _, _ = rules.Decide(card, rotation.AutoSlot(slot.Add(time.Second), slot)) // a second late
	}
	// Output:
	// 2026-11-23 15:00:00 +0000 UTC
	// 2026-11-24 15:00:00 +0000 UTC
	// 2026-11-25 15:00:00 +0000 UTC
}

// Less than two minutes after one rotation, another one still rotates the CVV
// but leaves the schedule alone: the documentation's three scenarios.
func ExampleDecision() {
	var rules rotation.Rules
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(threePM.Add(-24*time.Hour), 24*time.Hour))

	for _, e := range []rotation.Event{
		rotation.AutoSlot(threePM, threePM),
		rotation.Forced(threePM.Add(90 * time.Second)),
		rotation.Forced(threePM.Add(180 * time.Second)),
		rotation.AutoUnslotted(threePM.Add(270 * time.Second)),
	} {
		var d rotation.Decision
		card, d, _ = rules.Decide(card, e)
		fmt.Printf("%-6v rotate %v, reschedule %v, scenario %d\n", e.Kind(), d.Rotate(), d.Reschedule(), d.Scenario)
	}
	// Output:
	// auto   rotate true, reschedule true, scenario 0
	// forced rotate true, reschedule false, scenario 1
	// forced rotate true, reschedule false, scenario 3
	// auto   rotate true, reschedule false, scenario 2
}

// A timer that comes too early, twice or too late for its schedule is told by
// its slot.
func ExampleAutoSlot() {
	var rules rotation.Rules
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(threePM.Add(-24*time.Hour), 24*time.Hour))

	for _, late := range []time.Duration{-time.Second, time.Second, 2 * time.Second} {
		var d rotation.Decision
		card, d, _ = rules.Decide(card, rotation.AutoSlot(threePM.Add(late), threePM))
		fmt.Println(late, d.Reason(), d.Rotate())
	}
	// Output:
	// -1s not_due false
	// 1s scheduled true
	// 2s duplicate false
}

// What lies ahead, if nothing else happens.
func ExampleState_Slots() {
	var rules rotation.Rules
	friday := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(friday, 36*time.Hour))

	for slot := range card.Slots(3) {
		fmt.Println(slot.Format("Mon 15:04"))
	}
	// Output:
	// Sun 03:00
	// Mon 15:00
	// Wed 03:00
}

// Before the button is pressed: would the schedule move?
func ExampleRules_PreviewForced() {
	var rules rotation.Rules
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(threePM, 24*time.Hour))

	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute} {
		d, _ := rules.PreviewForced(card, threePM.Add(wait))
		fmt.Println(wait, d.Reschedule())
	}
	// Output:
	// 1m0s false
	// 2m0s true
}

// A state is stored as text, in JSON, or in up to 38 bytes by MarshalBinary.
func ExampleParseState() {
	var rules rotation.Rules
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(threePM, 24*time.Hour))

	row, _ := json.Marshal(map[string]rotation.State{"A": card})
	fmt.Println(string(row))

	var restored map[string]rotation.State
	fmt.Println(json.Unmarshal(row, &restored), restored["A"] == card)

	state, err := rotation.ParseState(card.String())
	fmt.Println(err, state == card)

	_, err = rotation.ParseState("rotation/1 interval=24h")
	fmt.Println(err)
	// Output:
	// {"A":"rotation/1 interval=24h next=2026-11-23T15:00:00Z guard=set_interval@2026-11-22T15:00:00Z crc=4e10ba8c"}
	// <nil> true
	// <nil> true
	// rotation: text that fails its check: damaged encoded state: restore it from a copy
}

// In words, for a log or a support desk.
func ExampleRules_Explain() {
	var rules rotation.Rules
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	card, _, _ := rules.Decide(rotation.State{}, rotation.SetInterval(threePM.Add(-24*time.Hour), 24*time.Hour))
	card, _, _ = rules.Decide(card, rotation.AutoSlot(threePM, threePM))

	fmt.Println(rules.Explain(card, rotation.Forced(threePM.Add(119*time.Second))))
	// Output:
	// forced 1m59s after the automatic rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)
}
