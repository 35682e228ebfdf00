package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/internal/cardid"
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
		Next: instant(s.Next), Slots: s.Slots,
		Version: s.Version, Rotated: s.Rotated, ServiceCode: s.ServiceCode.String(),
		Locked: instant(s.Locked), Tries: s.Tries, Failures: s.Failures,
		Forced: forced{s.Forced.Rescheduled, s.Forced.Reason.String(), s.Forced.Scenario, instant(s.Forced.Next)},
	}
	if s.Interval > 0 {
		hours := s.Interval.Hours()
		out.Hours = &hours
	}
	return out
}

func (h *handler) showSchedule(c *call) (*response, error) {
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

// monthMember reads a year and a month, as in 2027-11. Cards print 11/27, and card
// networks use both 1127 and 2711; this order is unambiguous.
type monthMember struct{ expiry *cvvgen.Expiry }

var errMonth = errors.New("not a month")

// UnmarshalText reads YYYY-MM.
func (m monthMember) UnmarshalText(text []byte) error {
	t, err := time.Parse("2006-01", string(text))
	if err != nil {
		return errMonth // err quotes the text
	}
	*m.expiry, err = cvvgen.NewExpiry(t.Year(), t.Month())
	return err
}

func (h *handler) register(c *call) (*response, error) {
	var reg engine.RegisterRequest
	var account accountID
	var hours int64
	err := readBody(c.w, c.r,
		textMember("account_id", "must be an account id", &account),
		textMember("pan", "must be a string of 8 to 19 digits", &reg.Particulars.PAN),
		textMember("expiry", "must be a year and a month, such as 2027-11", monthMember{&reg.Particulars.Expiry}),
		textMember("service_code", wantServiceCode, &reg.ServiceCode),
		intMember("cvv_rotation_interval_hours", wantHours, 1, maxHours, &hours),
		instantMember("cvv_first_rotation_date", &reg.Schedule.First),
		boolMember("spread", &reg.Schedule.Spread),
	)
	if err != nil {
		return nil, err
	}
	reg.Schedule.Interval = time.Duration(hours) * time.Hour
	if hours == 0 && reg.Schedule != (engine.IntervalRequest{}) {
		return nil, invalid(bodyError("cvv_rotation_interval_hours", "is required with cvv_first_rotation_date and spread: "+wantHours))
	}
	ref := engine.Ref{Card: c.card, Account: c.caller.Account}
	if account != "" && string(account) != ref.Account {
		if !c.anyAccount() {
			return nil, engine.ErrForbidden
		}
		ref.Account = string(account)
	}
	s, created, err := h.engine.Register(c.r.Context(), ref, reg)
	if err != nil {
		return nil, err
	}
	c.effect = s.Effect
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return &response{status: status, body: scheduleOf(s)}, nil
}

// accountID reads an account's id, as the engine accepts it.
type accountID string

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *accountID) UnmarshalText(text []byte) error {
	if err := cardid.CheckName(string(text)); err != nil {
		return err
	}
	*n = accountID(text)
	return nil
}
