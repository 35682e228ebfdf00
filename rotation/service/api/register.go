package api

import (
	"errors"
	"net/http"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/internal/cardid"
)

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
	reg.KeepSchedule = !c.caller.Has(ScopeSchedule)
	s, created, err := h.engine.Register(c.r.Context(), ref, reg)
	if errors.Is(err, engine.ErrScheduleKept) {
		err = errors.Join(c.scopeMissing(ScopeSchedule, "the card is registered with another schedule: changing it requires the scope "+ScopeSchedule), err)
	}
	if err != nil {
		return nil, err
	}
	c.effect = s.Effect
	switch {
	case created:
		return &response{status: http.StatusCreated, body: scheduleOf(s)}, nil
	case c.caller.Has(ScopeRead):
		return &response{status: http.StatusOK, body: scheduleOf(s)}, nil
	}
	return &response{status: http.StatusOK, body: registered{s.Card, s.Account, s.At}}, nil
}

// registered is the response to registering a card again by a caller that may not
// read its schedule: what the request has said.
type registered struct {
	Card    string    `json:"card_id"`
	Account string    `json:"account_id"`
	At      time.Time `json:"at"`
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
