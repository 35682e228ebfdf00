package api

import (
	"errors"
	"net/http"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
)

// monthMember is a month and a year, as 2027-11: in that order it can't be mixed
// up, as 1127 and 2711 can.
type monthMember struct{ expiry *cvvgen.Expiry }

var errMonth = errors.New("not a month")

// UnmarshalText reads YYYY-MM.
func (m monthMember) UnmarshalText(text []byte) error {
	t, err := time.Parse("2006-01", string(text))
	if err != nil {
		return errMonth // theirs quotes the text
	}
	*m.expiry, err = cvvgen.NewExpiry(t.Year(), t.Month())
	return err
}

func (h *handler) register(c *call) (*answer, error) {
	var reg engine.Registration
	var account name
	var hours int64
	err := readBody(c.w, c.r,
		textMember("account_id", "must be an account's id", &account),
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
	ref := c.ref()
	ref.Account = c.caller.Account
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
	a := &answer{status: http.StatusOK, body: scheduleOf(s)}
	if created {
		a.status = http.StatusCreated
	}
	return a, nil
}

// name is an account's id.
type name string

// UnmarshalText reads an id as the engine takes them.
func (n *name) UnmarshalText(text []byte) error {
	if wrong := checkName(string(text)); wrong != "" {
		return errors.New(wrong)
	}
	*n = name(text)
	return nil
}

// revealed is the answer with the CVV.
type revealed struct {
	Card        string     `json:"card_id"`
	CVV         string     `json:"cvv"`
	Version     int64      `json:"cvv_version"`
	Rotated     time.Time  `json:"cvv_rotated_at"`
	Next        *time.Time `json:"cvv_next_rotation_date"`
	ServiceCode string     `json:"service_code"`
}

func (h *handler) reveal(c *call) (*answer, error) {
	r, err := h.engine.Reveal(c.r.Context(), c.ref())
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: revealed{
		Card: c.card, CVV: r.CVV.Reveal(), Version: r.Version, Rotated: r.Rotated,
		Next: instant(r.Next), ServiceCode: r.ServiceCode.String(),
	}}, nil
}

// verdict is the answer to a CVV that was presented.
type verdict struct {
	Verdict  string `json:"verdict"`
	Accepted bool   `json:"accepted"`
}

func (h *handler) verify(c *call) (*answer, error) {
	var cvv cvvgen.CVV
	if err := readBody(c.w, c.r, textMember("cvv", "must be a string of 3 to 5 digits", &cvv).needed()); err != nil {
		return nil, err
	}
	v, err := h.engine.Verify(c.r.Context(), c.ref(), cvv)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: verdict{v.String(), v.Good()}}, nil
}

func (h *handler) unlock(c *call) (*answer, error) {
	if err := readBody(c.w, c.r); err != nil {
		return nil, err
	}
	if err := h.engine.Unlock(c.r.Context(), c.ref()); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

func (h *handler) openAPI(*call) (*answer, error) {
	return &answer{status: http.StatusOK, body: document, header: http.Header{"Cache-Control": {"public, max-age=3600"}}}, nil
}
