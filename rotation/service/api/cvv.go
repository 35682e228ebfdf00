package api

import (
	"net/http"
	"time"

	"cvvrotation/cvvgen"
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

// revealed is the only response that contains a CVV.
type revealed struct {
	Card        string     `json:"card_id"`
	CVV         string     `json:"cvv"`
	Version     int64      `json:"cvv_version"`
	Rotated     time.Time  `json:"cvv_rotated_at"`
	Next        *time.Time `json:"cvv_next_rotation_date"`
	ServiceCode string     `json:"service_code"`
}

func (h *handler) reveal(c *call) (*response, error) {
	r, err := h.engine.Reveal(c.r.Context(), c.ref())
	if err != nil {
		return nil, err
	}
	c.effect = r.Effect
	return &response{status: http.StatusOK, body: revealed{
		Card: c.card, CVV: r.CVV.Reveal(), Version: r.Version, Rotated: r.Rotated,
		Next: instant(r.Next), ServiceCode: r.ServiceCode.String(),
	}}, nil
}

// verdict is the response to a CVV that was presented.
type verdict struct {
	Verdict  string `json:"verdict"`
	Accepted bool   `json:"accepted"`
}

func (h *handler) verify(c *call) (*response, error) {
	var cvv cvvgen.CVV
	if err := readBody(c.w, c.r, textMember("cvv", "must be a string of 3 to 5 digits", &cvv).needed()); err != nil {
		return nil, err
	}
	v, err := h.engine.Verify(c.r.Context(), c.ref(), cvv)
	if err != nil {
		return nil, err
	}
	c.effect = v.Effect
	return &response{status: http.StatusOK, body: verdict{v.Verdict.String(), v.Verdict.Good()}}, nil
}

func (h *handler) unlock(c *call) (*response, error) {
	if err := readBody(c.w, c.r); err != nil {
		return nil, err
	}
	effect, err := h.engine.Unlock(c.r.Context(), c.ref())
	if err != nil {
		return nil, err
	}
	c.effect = effect
	return &response{status: http.StatusNoContent}, nil
}
