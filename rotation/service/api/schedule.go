package api

import (
	"net/http"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
)

const (
	maxHours     = int64(rotation.MaxInterval / time.Hour)
	wantHours    = "must be a whole number of hours, 1 to 87600"
	defaultSlots = 5
)

// schedule is the response to calls about the schedule.
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
	DailyTries  int         `json:"daily_tries"`
	Throttled   *time.Time  `json:"throttled_until"`
	Failures    int         `json:"failures"`
	Forced      forced      `json:"forced_call"`
}

// forced is what a forced call would do to the schedule now.
type forced struct {
	Rescheduled bool       `json:"rescheduled"`
	Reason      string     `json:"reason"`
	Scenario    int        `json:"scenario"`
	Next        *time.Time `json:"cvv_next_rotation_date"`
}

func scheduleOf(s engine.Schedule) schedule {
	out := schedule{
		Card: s.Card, Account: s.Account, At: s.At,
		Hours: hours(s.Interval), Next: instant(s.Next), Slots: s.Slots,
		Version: s.Version, Rotated: s.Rotated, ServiceCode: s.ServiceCode.String(),
		Locked: instant(s.Locked), Tries: s.Tries, DailyTries: s.DailyTries, Throttled: instant(s.ThrottledUntil), Failures: s.Failures,
		Forced: forced{s.Forced.Rescheduled, s.Forced.Reason.String(), s.Forced.Scenario, instant(s.Forced.Next)},
	}
	return out
}

// hours returns nil for 0, which is null in JSON.
func hours(interval time.Duration) *float64 {
	if interval == 0 {
		return nil
	}
	return new(interval.Hours())
}

func (h *handler) showSchedule(c *call) (*response, error) {
	slots, err := c.queryInt("slots", defaultSlots, 0, engine.MaxSlots)
	if err != nil {
		return nil, err
	}
	s, err := h.engine.Show(c.r.Context(), c.ref(), int(slots))
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: scheduleOf(s)}, nil
}

func (h *handler) setSchedule(c *call) (*response, error) {
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
	c.effect = s.Effect
	return &response{status: http.StatusOK, body: scheduleOf(s)}, nil
}

func (h *handler) deleteSchedule(c *call) (*response, error) {
	s, err := h.engine.Disable(c.r.Context(), c.ref())
	if err != nil {
		return nil, err
	}
	c.effect = s.Effect
	return &response{status: http.StatusNoContent}, nil
}
