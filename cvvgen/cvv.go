package cvvgen

import "crypto/subtle"

// CVV is a card verification value: 3 to 5 digits with their leading zeros. The
// zero value is no CVV.
//
// It prints as "[redacted]" and refuses to be marshalled; see the package
// comment. == is true for equal digits (and for two absent values), so that a
// CVV can be a map key, within one process; use [CVV.Equal] or [CVV.Matches] all
// the same, which do not depend on how a CVV is represented.
type CVV struct {
	redacted
	digits masked
}

// ParseCVV parses 3 to 5 ASCII digits, such as a CVV to be verified. The error
// matches [ErrSyntax] and does not quote s.
func ParseCVV(s string) (CVV, error) {
	digits, err := maskDigits("CVV", s, 3, 5)
	return CVV{digits: digits}, err
}

// UnmarshalText is [ParseCVV] for decoders, so that a request can be decoded
// without its CVV ever being a plain string. On an error c is unchanged. It
// implements [encoding.TextUnmarshaler].
func (c *CVV) UnmarshalText(text []byte) error {
	digits, err := maskDigits("CVV", text, 3, 5)
	if err != nil {
		return err
	}
	c.digits = digits
	return nil
}

// IsValid reports whether c is a CVV; only the zero value is not.
func (c CVV) IsValid() bool { return c.digits != 0 }

// Reveal returns the digits, "" for the zero value. Nothing else returns them; the
// caller must keep them out of logs and errors.
func (c CVV) Reveal() string { return c.digits.reveal() }

// Equal reports whether c and d have the same digits, or are both absent, in
// constant time. go-cmp uses it. To decide about a payment use [CVV.Matches].
func (c CVV) Equal(d CVV) bool { return equal(c.digits, d.digits) }

// Matches reports whether c is valid and presented has the same digits, in constant
// time. Unlike with Equal, the zero CVV matches nothing.
func (c CVV) Matches(presented CVV) bool { return c.IsValid() && c.Equal(presented) }

func equal(a, b masked) bool {
	x := uint64(a ^ b)
	return subtle.ConstantTimeEq(int32(x), 0)&subtle.ConstantTimeEq(int32(x>>32), 0) == 1
}
