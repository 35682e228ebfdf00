package enginecheck

import (
	"fmt"
	"time"

	"cvvrotation/rotation/engine"
)

// describeError describes how a call ended.
func describeError(err error) string {
	if err == nil {
		return "done"
	}
	return "error: " + err.Error()
}

// describeForce describes a forced call.
func describeForce(req engine.ForceRequest) string {
	words := "without a key"
	if req.Key != "" {
		words = fmt.Sprintf("with the key %q", req.Key)
	}
	if req.ServiceCode.IsValid() {
		words += ", to service code " + req.ServiceCode.String()
	}
	if req.Compromised {
		words += ", as compromised"
	}
	return words
}

// describeAnswer describes an answer: everything in it that is compared.
func describeAnswer(r engine.Rotation) string {
	words := fmt.Sprintf("%s (%s, scenario %d, missed %d) for %s at %s: version %d, service code %s, rotated %t, rescheduled %t",
		r.Rule, r.Reason, r.Scenario, r.Missed, r.Card, r.At.Format(time.RFC3339Nano), r.Version, r.ServiceCode, r.Rotated, r.Rescheduled)
	if r.Next.IsZero() {
		words += ", no next slot"
	} else {
		words += ", next " + r.Next.Format(time.RFC3339Nano)
	}
	if r.Replayed {
		words += ", replayed"
	}
	return words
}
