package api

import (
	"net/http"

	"cvvrotation/cvvgen"
)

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
