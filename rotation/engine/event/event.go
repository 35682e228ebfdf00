// Package event encodes "Card CVV changed": the message that subscribers receive
// for every rotation and for every change of an interval. It is a CloudEvent
// (version 1.0, structured JSON), with the field names of the platform's
// documentation. [Schema] describes it, [Parse] reads it.
//
// An event is delivered at least once, and in order for each card. A subscriber
// keeps the event_number of the last event of each card and skips events that are
// not greater. A number that is missing is an event that was dead-lettered, or
// that a replay delivers later.
//
// An event holds no CVV, no PAN and no service code.
//
// # How v1 may grow
//
// A newer form of v1 may have new members, always optional and in lower case. It
// never omits a member, never changes what one means, and never adds a value to an
// enumeration: that would be v2, with another [Type]. So a subscriber ignores
// members that it does not know, as Parse and the schema do. Their names are in
// lower case, so a known name in other letters is an error: a reader that ignores
// case would take it for the known one.
package event

import (
	_ "embed"
	"slices"
	"time"

	"cvvrotation/rotation"
)

// Type is the CloudEvents type of every event. It holds the version.
const Type = "card.cvv.changed.v1"

// ContentType is the media type of an event.
const ContentType = "application/cloudevents+json"

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (2020-12) of an event. Like [Parse] it accepts
// members that it does not know.
func Schema() []byte { return slices.Clone(schema) }

// Operation is the kind of change.
type Operation string

// The operations. The last two have the platform's names.
const (
	OperationRotate         Operation = "ROTATE_CVV"          // a new CVV
	OperationChangeInterval Operation = "CHANGE_CVV_ROTATION" // a new interval or schedule
	OperationDeleteInterval Operation = "DELETE_CVV_ROTATION" // automatic rotation turned off
)

// Changed is the event. Its zero value is not valid.
type Changed struct {
	Source    string    // URI reference of the issuer's system
	Card      string    // the card's id
	Account   string    // the card's account; may be empty. Encoding masks digits that could be a PAN
	Number    int64     // number among the card's events: 1, 2, 3 … without a gap
	At        time.Time // when it happened
	Operation Operation
	Automatic bool // OperationRotate: on schedule, not forced

	Version     int64         // version of the current CVV
	Next        time.Time     // the next automatic rotation; zero: none
	Interval    time.Duration // 0: automatic rotation is off; Parse rounds it to microseconds, since JSON has it in hours
	Rescheduled bool
	Reason      rotation.Reason
	Scenario    int       // 1, 2, 3 or 0 (R21)
	Missed      int64     // slots skipped (R17)
	Slot        time.Time // of an automatic rotation: the slot that it was for; zero: not named
	Compromised bool      // the previous CVV stopped being accepted immediately
	Repaired    bool      // the engine repaired a next rotation that a clock step had set

	Rules rotation.Rules // that decided; zero: the default, which the JSON omits
}
