package cvvgen

import (
	"errors"
	"fmt"
	"time"
)

// Card holds what a derived CVV depends on, apart from the service code and the key.
type Card struct {
	PAN    PAN
	Expiry Expiry
}

// PAN is a primary account number, the card number: 8 to 19 digits (ISO/IEC
// 7812-1). The zero value is no PAN.
//
// It prints as "[redacted]", refuses to be marshalled, and compares with == as a
// [CVV] does.
type PAN struct {
	redacted
	digits masked
}

// ParsePAN parses 8 to 19 ASCII digits. It does not verify the check digit, because
// test cards have wrong ones. The error matches [ErrSyntax] and does not quote s.
func ParsePAN(s string) (PAN, error) {
	digits, err := maskDigits("PAN", s, 8, 19)
	return PAN{digits: digits}, err
}

// UnmarshalText is [ParsePAN] for decoders. On an error p is unchanged. It
// implements [encoding.TextUnmarshaler].
func (p *PAN) UnmarshalText(text []byte) error {
	digits, err := maskDigits("PAN", text, 8, 19)
	if err != nil {
		return err
	}
	p.digits = digits
	return nil
}

// IsValid reports whether p is a PAN; only the zero value is not.
func (p PAN) IsValid() bool { return p.digits != 0 }

// Reveal returns the digits, "" for the zero value. Nothing else returns them.
func (p PAN) Reveal() string { return p.digits.reveal() }

// Equal reports whether p and q have the same digits, or are both absent, in
// constant time. go-cmp uses it.
func (p PAN) Equal(q PAN) bool { return equal(p.digits, q.digits) }

// ErrExpiryOrder is the error for an [ExpiryOrder] that is neither ExpiryOrderYYMM
// nor ExpiryOrderMMYY.
var ErrExpiryOrder = errors.New("cvvgen: unknown order of the expiry date; want YYMM or MMYY")

// ExpiryOrder is the order in which the expiry date is written as four digits.
// The algorithm accepts either and gives different values, so an issuer must
// generate and verify in the same order. There is no default: the zero value is
// refused with [ErrExpiryOrder].
type ExpiryOrder uint8

// The two orders in use.
const (
	ExpiryOrderYYMM ExpiryOrder = iota + 1 // as on track 2 (ISO/IEC 7813): 2511 is November 2025
	ExpiryOrderMMYY                        // as embossed on the card: 1125 is November 2025
)

// String returns "YYMM" or "MMYY", and "ExpiryOrder(n)" for another value.
func (o ExpiryOrder) String() string {
	switch o {
	case ExpiryOrderYYMM:
		return "YYMM"
	case ExpiryOrderMMYY:
		return "MMYY"
	}
	return fmt.Sprintf("ExpiryOrder(%d)", uint8(o))
}

// Expiry is the month a card expires in, with a year of two digits. It has no
// order: one is given when it is read and when it is written. The zero value is
// no expiry. Expiries are comparable with ==.
type Expiry struct {
	year, month uint8 // month is 0 for no expiry
}

// NewExpiry returns the expiry for a year from 2000 to 2099. The error matches
// [ErrSyntax].
func NewExpiry(year int, month time.Month) (Expiry, error) {
	if year < 2000 || year > 2099 {
		return Expiry{}, fmt.Errorf("%w: expiry year not within 2000 to 2099", ErrSyntax)
	}
	return newExpiry(year-2000, int(month))
}

// ParseExpiry parses four ASCII digits written in the given order, with a month
// from 01 to 12. The error matches [ErrSyntax] or [ErrExpiryOrder] and does not
// quote s.
func ParseExpiry(order ExpiryOrder, s string) (Expiry, error) {
	if len(s) != 4 {
		return Expiry{}, fmt.Errorf("%w: expiry of %d bytes, want 4 digits", ErrSyntax, len(s))
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return Expiry{}, fmt.Errorf("%w: expiry: byte %d of 4 is not a digit 0 to 9", ErrSyntax, i+1)
		}
	}
	first, second := int(s[0]-'0')*10+int(s[1]-'0'), int(s[2]-'0')*10+int(s[3]-'0')
	switch order {
	case ExpiryOrderYYMM:
		return newExpiry(first, second)
	case ExpiryOrderMMYY:
		return newExpiry(second, first)
	}
	return Expiry{}, ErrExpiryOrder
}

func newExpiry(year, month int) (Expiry, error) {
	if month < 1 || month > 12 {
		return Expiry{}, fmt.Errorf("%w: expiry month not within 1 to 12; is the order right?", ErrSyntax)
	}
	return Expiry{year: uint8(year), month: uint8(month)}, nil
}

// IsValid reports whether e is an expiry; only the zero value is not.
func (e Expiry) IsValid() bool { return e.month != 0 }

// Equal reports whether e == other. go-cmp uses it.
func (e Expiry) Equal(other Expiry) bool { return e == other }

// Digits returns the four digits in the given order, as the algorithm and an HSM
// expect them. The error matches [ErrExpiryOrder], or [ErrMissing] for the zero
// Expiry.
func (e Expiry) Digits(order ExpiryOrder) (string, error) {
	if !e.IsValid() {
		return "", fmt.Errorf("%w: expiry", ErrMissing)
	}
	if order != ExpiryOrderYYMM && order != ExpiryOrderMMYY {
		return "", ErrExpiryOrder
	}
	return string(e.appendTo(nil, order)), nil
}

func (e Expiry) appendTo(b []byte, order ExpiryOrder) []byte {
	first, second := e.year, e.month
	if order == ExpiryOrderMMYY {
		first, second = e.month, e.year
	}
	return append(b, '0'+first/10, '0'+first%10, '0'+second/10, '0'+second%10)
}

// String returns the month and the year such that they cannot be mixed up, as
// "month 11 of year 25", or "no expiry" for the zero value.
func (e Expiry) String() string {
	if !e.IsValid() {
		return "no expiry"
	}
	return fmt.Sprintf("month %02d of year %02d", e.month, e.year)
}
