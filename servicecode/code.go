package servicecode

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
)

// ErrSyntax is the error, matched with [errors.Is], for text that is not a
// service code.
var ErrSyntax = errors.New("servicecode: want three ASCII digits")

// Code is a service code: three decimal digits, kept with their leading zeros.
//
// The zero value is no code. It is distinct from 000 and sorts before it;
// [Code.IsValid] and [Code.IsAssigned] report false. Codes are comparable with ==.
type Code struct {
	// digits are three ASCII digits, or three zero bytes for no code.
	digits [3]byte
}

// CVV2 returns the code 000, which stands in for the service code when a CVV2
// (the value printed on the card) is computed. It is not an assigned code.
func CVV2() Code { return Code{[3]byte{'0', '0', '0'}} }

// ICVV returns the code 999, which stands in for the service code when an iCVV
// (the value in the chip's track 2 image) is computed. It is not an assigned
// code.
func ICVV() Code { return Code{[3]byte{'9', '9', '9'}} }

// Parse parses exactly three ASCII digits. It accepts all 1,000 codes, assigned
// or not: ask [Code.IsAssigned] where that matters. The error matches
// [ErrSyntax] and gives a length or a position, never the input.
func Parse(s string) (Code, error) { return parse(s) }

// MustParse is [Parse] for codes known when the program is written. It panics
// where Parse returns an error.
func MustParse(s string) Code {
	c, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return c
}

func parse[T string | []byte](s T) (Code, error) {
	if len(s) != 3 {
		return Code{}, fmt.Errorf("%w: got %d bytes", ErrSyntax, len(s))
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return Code{}, fmt.Errorf("%w: byte %d of 3 is not one", ErrSyntax, i+1)
		}
	}
	return Code{[3]byte{s[0], s[1], s[2]}}, nil
}

// IsValid reports whether c is a code, assigned or not; only the zero value is not.
func (c Code) IsValid() bool { return c != Code{} }

// IsAssigned reports whether ISO/IEC 7813 assigns a meaning to each of the three
// digits, as it does for 144 codes. 000 and 999 are not among them.
func (c Code) IsAssigned() bool {
	return c.Interchange().IsAssigned() && c.Authorization().IsAssigned() && c.Services().IsAssigned()
}

// Interchange returns the first digit, 0 for the zero Code.
func (c Code) Interchange() Interchange { return Interchange(c.digits[0]) }

// Authorization returns the second digit, 0 for the zero Code.
func (c Code) Authorization() Authorization { return Authorization(c.digits[1]) }

// Services returns the third digit, 0 for the zero Code.
func (c Code) Services() Services { return Services(c.digits[2]) }

// Compare returns -1, 0 or +1 as c sorts before, with or after d: numerically,
// with the zero value first.
func (c Code) Compare(d Code) int {
	return cmp.Or(
		cmp.Compare(c.digits[0], d.digits[0]),
		cmp.Compare(c.digits[1], d.digits[1]),
		cmp.Compare(c.digits[2], d.digits[2]),
	)
}

// Equal reports whether c == d. go-cmp uses it.
func (c Code) Equal(d Code) bool { return c == d }

// String returns the three digits, or "no service code" for the zero value.
func (c Code) String() string {
	if !c.IsValid() {
		return "no service code"
	}
	return string(c.digits[:])
}

// Describe returns the meaning of the three digits in words, separated by
// semicolons: "international; normal; no restrictions" for 101. It calls reserved
// digits reserved, and names [CVV2] and [ICVV] as stand-ins.
func (c Code) Describe() string {
	switch c {
	case Code{}:
		return c.String()
	case CVV2():
		return "stand-in for computing a CVV2, not assigned"
	case ICVV():
		return "stand-in for computing an iCVV, not assigned"
	}
	return c.Interchange().String() + "; " + c.Authorization().String() + "; " + c.Services().String()
}

// AppendText appends the three digits to b, or nothing for the zero value. It
// implements [encoding.TextAppender]; the error is always nil.
func (c Code) AppendText(b []byte) ([]byte, error) {
	if !c.IsValid() {
		return b, nil
	}
	return append(b, c.digits[:]...), nil
}

// MarshalText returns the three digits, or empty text for the zero value. It
// implements [encoding.TextMarshaler]; the error is always nil.
func (c Code) MarshalText() ([]byte, error) { return c.AppendText([]byte{}) }

// UnmarshalText sets c to the code that [Parse] returns, or to the zero value if the
// text is empty. On an error, which matches [ErrSyntax], c is unchanged.
// It implements [encoding.TextUnmarshaler].
func (c *Code) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = Code{}
		return nil
	}
	parsed, err := parse(text)
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// AppendBinary is [Code.AppendText]: the binary form is the text. It implements
// [encoding.BinaryAppender].
func (c Code) AppendBinary(b []byte) ([]byte, error) { return c.AppendText(b) }

// MarshalBinary is [Code.MarshalText]: the binary form is the text. It
// implements [encoding.BinaryMarshaler], which encoding/gob needs.
func (c Code) MarshalBinary() ([]byte, error) { return c.MarshalText() }

// UnmarshalBinary is [Code.UnmarshalText]. It implements
// [encoding.BinaryUnmarshaler].
func (c *Code) UnmarshalBinary(data []byte) error { return c.UnmarshalText(data) }

// Value returns the three digits as a string, or nil, which is NULL, for the zero
// value. It implements [driver.Valuer]. Write it to a column of text, such as char(3).
func (c Code) Value() (driver.Value, error) {
	if !c.IsValid() {
		return nil, nil
	}
	return c.String(), nil
}

// Scan sets c to the code in a column of text or bytes, as [Code.UnmarshalText] does,
// or to the zero value for NULL. A number is an error: a column of numbers has lost
// the leading zeros, so that 0 could be the code 000 or none. On an error, which
// matches [ErrSyntax], c is unchanged. It implements [database/sql.Scanner].
func (c *Code) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*c = Code{}
		return nil
	case string:
		return c.UnmarshalText([]byte(src))
	case []byte:
		return c.UnmarshalText(src)
	}
	return fmt.Errorf("%w: got a column of %T: use a column of text, such as char(3), which keeps leading zeros", ErrSyntax, src)
}
