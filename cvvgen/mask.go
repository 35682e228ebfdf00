package cvvgen

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSyntax is the error, matched with [errors.Is], for text that is not a CVV,
// PAN or expiry date. Messages give lengths and positions, never the text.
var ErrSyntax = errors.New("cvvgen: malformed value")

// A masked is a string of 0 to 19 decimal digits under a permutation of the
// 64-bit numbers that is drawn at random when the process starts. It is what a
// printer finds that reaches a secret's bits.
//
// Zero stands for the empty string. Equal strings have equal masked values, so
// that == compares digits, within one process. The price is that a dump shows
// which values are equal. Unlike with the exclusive or with a constant, one
// known string does not unmask the others. It is no encryption.
type masked uint64

// permutation is x → (((x^xor)*mul1, folded)*mul2, folded), all steps of which
// can be undone, shifted so that 0 stays 0.
var permutation = newPermutation()

type permuter struct {
	xor, mul1, mul2 uint64 // drawn; the factors are odd and so have inverses
	inv1, inv2      uint64 // mul1*inv1 = mul2*inv2 = 1 modulo 2⁶⁴
	zero            uint64 // image of 0, taken away from all images
}

func newPermutation() permuter {
	var b [24]byte
	rand.Read(b[:])
	p := permuter{
		xor:  binary.LittleEndian.Uint64(b[:]),
		mul1: binary.LittleEndian.Uint64(b[8:]) | 1,
		mul2: binary.LittleEndian.Uint64(b[16:]) | 1,
	}
	p.inv1, p.inv2 = inverse(p.mul1), inverse(p.mul2)
	p.zero = uint64(p.mask(0))
	return p
}

// inverse returns the inverse of an odd number modulo 2⁶⁴. Newton's step doubles
// the number of good bits; odd itself has three.
func inverse(odd uint64) uint64 {
	x := odd
	for range 5 {
		x *= 2 - odd*x
	}
	return x
}

func (p *permuter) mask(x uint64) masked {
	x = (x ^ p.xor) * p.mul1
	x ^= x >> 32
	x *= p.mul2
	x ^= x >> 32
	return masked(x ^ p.zero)
}

func (p *permuter) unmask(m masked) uint64 {
	x := uint64(m) ^ p.zero
	x ^= x >> 32
	x *= p.inv2
	x ^= x >> 32
	return x*p.inv1 ^ p.xor
}

// Strings of digits are numbered by length, then by value: "" is 0, "0" to "9"
// are 1 to 10, "00" is 11, "000" is 111. firsts[n] is the number of the first
// string of n digits. The last one of 19 digits still fits in 64 bits.
var firsts = func() (f [21]uint64) {
	for n := 1; n < len(f); n++ {
		f[n] = f[n-1]*10 + 1
	}
	return f
}()

// maskNumber masks the string of n digits with the given value.
func maskNumber(value uint64, n int) masked { return permutation.mask(firsts[n] + value) }

// maskDigits masks a string of lo to hi ≤ 19 digits. what names it in errors.
func maskDigits[T string | []byte](what string, s T, lo, hi int) (masked, error) {
	if len(s) < lo || len(s) > hi {
		return 0, fmt.Errorf("%w: %s of %d bytes, want %d to %d digits", ErrSyntax, what, len(s), lo, hi)
	}
	value := uint64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("%w: %s: byte %d of %d is not a digit 0 to 9", ErrSyntax, what, i+1, len(s))
		}
		value = value*10 + uint64(s[i]-'0')
	}
	return maskNumber(value, len(s)), nil
}

// appendTo appends the digits to b.
func (m masked) appendTo(b []byte) []byte {
	x := permutation.unmask(m)
	n := 0
	for x >= firsts[n+1] {
		n++
	}
	x -= firsts[n]
	b = append(b, make([]byte, n)...)
	for i := len(b) - 1; i >= len(b)-n; i-- {
		b[i] = '0' + byte(x%10)
		x /= 10
	}
	return b
}

func (m masked) reveal() string {
	var b [19]byte
	return string(m.appendTo(b[:0]))
}
