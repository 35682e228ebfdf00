package api

import (
	"net/http"
	"strconv"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
)

const (
	maxHours        = int64(rotation.MaxInterval / time.Hour)
	wantHours       = "must be a whole number of hours, 1 to 87600"
	wantServiceCode = "must be a string of three digits"
	defaultSlots    = 5
)

// rotated is the answer to a forced call.
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

func (h *handler) rotate(c *call) (*answer, error) {
	var req engine.ForceRequest
	keys := c.r.Header.Values("Idempotency-Key")
	switch {
	case len(keys) == 1 && keys[0] != "":
		req.Key = keys[0]
	case len(keys) > 0:
		return nil, invalid(fieldError{Field: "Idempotency-Key", In: "header", Detail: "must stand once, and not be empty"})
	}
	err := readBody(c.w, c.r,
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
	a := &answer{status: http.StatusOK, body: rotated{
		Success: r.Rotated, Card: r.Card, Type: "MANUAL",
		Rescheduled: r.Rescheduled, Reason: r.Reason.String(), Scenario: r.Scenario,
		Version: r.Version, Rotated: r.At, Next: instant(r.Next), ServiceCode: r.ServiceCode.String(),
	}}
	if r.Replayed {
		a.header = http.Header{"Idempotency-Replayed": {"true"}}
	}
	return a, nil
}

// schedule is the answer to calls about the schedule.
type schedule struct {
	Card        string      `json:"card_id"`
	Account     string      `json:"account_id"`
	At          time.Time   `json:"at"`
	Hours       *float64    `json:"cvv_rotation_interval_hours"`
	Next        *time.Time  `json:"cvv_next_rotation_date"`
	Slots       []time.Time `json:"cvv_next_rotation_dates"`
	Version     int64       `json:"cvv_version"`
	Rotated     time.Time   `json:"cvv_rotated_at"`
	ServiceCode string      `json:"service_code"`
	Locked      *time.Time  `json:"locked_at"`
	Tries       int         `json:"tries"`
	Failures    int         `json:"failures"`
	Forced      forced      `json:"forced_call"`
}

// forced is what a forced call would do.
type forced struct {
	Rescheduled bool       `json:"rescheduled"`
	Reason      string     `json:"reason"`
	Scenario    int        `json:"scenario"`
	Next        *time.Time `json:"cvv_next_rotation_date"`
}

func scheduleOf(s engine.Schedule) schedule {
	out := schedule{
		Card: s.Card, Account: s.Account, At: s.At,
		Next: instant(s.Next), Slots: s.Slots,
		Version: s.Version, Rotated: s.Rotated, ServiceCode: s.ServiceCode,
		Locked: instant(s.Locked), Tries: s.Tries, Failures: s.Failures,
		Forced: forced{s.Forced.Rescheduled, s.Forced.Reason.String(), s.Forced.Scenario, instant(s.Forced.Next)},
	}
	if s.Interval > 0 {
		hours := s.Interval.Hours()
		out.Hours = &hours
	}
	return out
}

// instant returns the instant, or nil for the zero time, which is null on the
// wire.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handler) showSchedule(c *call) (*answer, error) {
	slots := defaultSlots
	if values, ok := c.query["slots"]; ok {
		n, err := strconv.ParseUint(values[0], 10, 31)
		if err != nil {
			return nil, fieldProblem("slots", "must be 0 to 1000")
		}
		slots = int(n)
	}
	s, err := h.engine.Show(c.r.Context(), c.ref(), slots)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: scheduleOf(s)}, nil
}

func (h *handler) setSchedule(c *call) (*answer, error) {
	var req engine.IntervalRequest
	var hours int64
	err := readBody(c.w, c.r,
		intMember("cvv_rotation_interval_hours", wantHours, 1, maxHours, &hours).needed(),
		instantMember("cvv_first_rotation_date", &req.First),
		boolMember("spread", &req.Spread),
	)
	if err != nil {
		return nil, err
	}
	req.Interval = time.Duration(hours) * time.Hour
	s, err := h.engine.SetInterval(c.r.Context(), c.ref(), req)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: scheduleOf(s)}, nil
}

func (h *handler) deleteSchedule(c *call) (*answer, error) {
	if _, err := h.engine.Disable(c.r.Context(), c.ref()); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}
