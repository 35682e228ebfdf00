// Package panmask masks what could be a card number (PAN) in other systems' names:
// accounts, subjects of tokens, request ids. They are accepted as they are, but logs and
// events must not store a PAN in the clear (PCI DSS v4.0.1, 3.5.1).
package panmask

import "strings"

// Mask returns s with every possible PAN masked but for its first six and last four
// digits (PCI DSS v4.0.1, 3.4.1). A possible PAN is a run of 13 to 19 ASCII digits,
// with no digit before or after it, that begins with 2 to 6 (ISO/IEC 7812-1, the
// numbers of payment cards) and ends with the right check digit (Luhn). The mask is x,
// which every name may contain. Mask allocates only if there is a possible PAN.
func Mask(s string) string {
	var masked []byte
	for start := 0; start < len(s); start++ {
		end := start
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if isPAN(s[start:end]) {
			if masked == nil {
				masked = []byte(s)
			}
			copy(masked[start+6:end-4], strings.Repeat("x", end-start-10))
		}
		start = end
	}
	if masked == nil {
		return s
	}
	return string(masked)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isPAN(run string) bool {
	return 13 <= len(run) && len(run) <= 19 && '2' <= run[0] && run[0] <= '6' && luhn(run)
}

// luhn reports whether the last digit is the check digit of the others (ISO/IEC
// 7812-1, annex B).
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}
