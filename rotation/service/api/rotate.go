package api

import (
	"net/http"
	"time"

	"cvvrotation/rotation/engine"
)

const wantServiceCode = "must be a string of three digits"

// rotated is the response to a forced call.
type rotated struct {
	Success     bool       `json:"success"`
	Card        string     `json:"card_id"`
	Type        string     `json:"cvv_rotation_type"`
	Rescheduled bool       `json:"rescheduled"`
	Reason      string     `json:"reason"`
	Scenario    int        `json:"scenario"`
	Version     int64      `json:"cvv_version"`
	Rotated     time.Time  `json:"cvv_rotated_at"`
	Next        *time.Time `json:"cvv_next_rotation_date"`
	ServiceCode string     `json:"service_code"`
}

func (h *handler) rotate(c *call) (*response, error) {
	key, err := idempotencyKey(c.r.Header)
	if err != nil {
		return nil, err
	}
	req := engine.ForceRequest{Key: key}
	err = readBody(c.w, c.r,
		textMember("service_code", wantServiceCode, &req.ServiceCode),
		boolMember("compromised", &req.Compromised),
	)
	if err != nil {
		return nil, err
	}
	r, err := h.engine.Force(c.r.Context(), c.ref(), req)
	if err != nil {
		return nil, err
	}
	c.effect = r.Effect
	resp := &response{status: http.StatusOK, body: rotated{
		Success: r.Rotated, Card: r.Card, Type: "MANUAL",
		Rescheduled: r.Rescheduled, Reason: r.Reason.String(), Scenario: r.Scenario,
		Version: r.Version, Rotated: r.At, Next: instant(r.Next), ServiceCode: r.ServiceCode.String(),
	}}
	if r.Replayed {
		resp.header = http.Header{"Idempotency-Replayed": {"true"}}
	}
	return resp, nil
}
