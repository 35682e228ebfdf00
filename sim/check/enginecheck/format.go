package enginecheck

import (
	"fmt"
	"time"

	"cvvrotation/rotation/engine"
)

// ended says how a call ended.
func ended(err error) string {
	if err == nil {
		return "done"
	}
	return "error: " + err.Error()
}

// wish is a forced call in words.
func wish(req engine.ForceRequest) string {
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

// said is an answer in words: all that is compared of it.
func said(r engine.Rotation) string {
	words := fmt.Sprintf("%s (%s, scenario %d, missed %d) for %s at %s: version %d, service code %s, rotated %t, rescheduled %t",
		r.Rule, r.Reason, r.Scenario, r.Missed, r.Card, r.At.Format(time.RFC3339Nano), r.Version, r.ServiceCode, r.Rotated, r.Rescheduled)
	if r.Next.IsZero() {
		words += ", no next slot"
	} else {
		words += ", next " + r.Next.Format(time.RFC3339Nano)
	}
	if r.Replayed {
		words += ", the answer of before"
	}
	return words
}
