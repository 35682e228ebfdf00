package event_test

import (
	"fmt"

	"cvvrotation/rotation/engine/event"
)

// A subscriber keeps the number of each card's last event and skips the others:
// the deliveries may be repeated.
func Example() {
	deliveries := []string{
		`{"specversion":"1.0","id":"card_7.1","source":"/cvvrotation","type":"card.cvv.changed.v1","subject":"card_7","partitionkey":"card_7","time":"2026-11-22T15:00:00Z","datacontenttype":"application/json","data":{"card_id":"card_7","account_id":"acme","event_number":1,"operation_type":"CHANGE_CVV_ROTATION","cvv_version":1,"cvv_next_rotation_date":"2026-11-23T15:00:00Z","cvv_rotation_interval_hours":24,"rescheduled":true,"reason":"interval_set","scenario":0}}`,
		`{"specversion":"1.0","id":"card_7.2","source":"/cvvrotation","type":"card.cvv.changed.v1","subject":"card_7","partitionkey":"card_7","time":"2026-11-23T15:00:00Z","datacontenttype":"application/json","data":{"card_id":"card_7","account_id":"acme","event_number":2,"operation_type":"ROTATE_CVV","cvv_rotation_type":"AUTOMATIC","cvv_version":2,"cvv_next_rotation_date":"2026-11-24T15:00:00Z","cvv_rotation_interval_hours":24,"rescheduled":true,"reason":"scheduled","scenario":0,"missed":0}}`,
	}
	last := map[string]int64{}
	for _, text := range append(deliveries, deliveries...) {
		e, err := event.Parse([]byte(text))
		if err != nil {
			fmt.Println(err)
			continue
		}
		if e.Number <= last[e.Card] {
			continue
		}
		last[e.Card] = e.Number
		fmt.Println(e.Card, e.Number, e.Operation, "version", e.Version, "next", e.Next)
	}
	// Output:
	// card_7 1 CHANGE_CVV_ROTATION version 1 next 2026-11-23 15:00:00 +0000 UTC
	// card_7 2 ROTATE_CVV version 2 next 2026-11-24 15:00:00 +0000 UTC
}
