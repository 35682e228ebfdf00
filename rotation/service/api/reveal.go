package api

import (
	"net/http"
	"time"
)

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
