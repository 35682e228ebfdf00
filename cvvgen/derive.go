package cvvgen

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cvvrotation/servicecode"
)

// ErrMissing is the error for the zero value of something that is needed: a PAN,
// an expiry, a service code, a CVV or a key. The message says which.
var ErrMissing = errors.New("cvvgen: missing value")

// Deriver computes the CVV of a card for a service code, always the same for the
// same arguments. [Local] does so in this process. An implementation that asks a
// hardware security module needs [PAN.Reveal], [Expiry.Digits] and [ParseCVV].
//
// An implementation must be safe for concurrent use and must not put the PAN or
// the CVV into an error.
type Deriver interface {
	Derive(ctx context.Context, card Card, code servicecode.Code) (CVV, error)
}

// Local is a [Deriver] that holds the key in this process. Make one with [NewLocal];
// the zero Local must not be used.
type Local struct {
	key    CVK
	order  ExpiryOrder
	digits int
}

// NewLocal returns a Deriver of CVVs of 3 to 5 digits with the given key, which
// writes the expiry date in the given order. The errors are [ErrMissing],
// [ErrExpiryOrder] and [ErrDigits].
func NewLocal(key CVK, order ExpiryOrder, digits int) (*Local, error) {
	if !key.IsValid() {
		return nil, fmt.Errorf("%w: CVK", ErrMissing)
	}
	if order != ExpiryOrderYYMM && order != ExpiryOrderMMYY {
		return nil, ErrExpiryOrder
	}
	if digits < 3 || digits > 5 {
		return nil, fmt.Errorf("%w: derived CVVs have 3 to 5, not %d", ErrDigits, digits)
	}
	return &Local{key: key, order: order, digits: digits}, nil
}

// Derive returns the CVV of the card for the service code: the algorithm of the
// Visa CVV and the Mastercard CVC. With code 000 it is the CVV2, with 999 the
// iCVV. It does not wait for anything and ignores ctx. The error matches
// [ErrMissing].
func (l *Local) Derive(_ context.Context, card Card, code servicecode.Code) (CVV, error) {
	switch {
	case !card.PAN.IsValid():
		return CVV{}, fmt.Errorf("%w: PAN", ErrMissing)
	case !card.Expiry.IsValid():
		return CVV{}, fmt.Errorf("%w: expiry", ErrMissing)
	case !code.IsValid():
		return CVV{}, fmt.Errorf("%w: service code", ErrMissing)
	}
	s := scratches.Get().(*scratch)
	fed := card.PAN.digits.appendTo(s.fed[:0])
	fed = card.Expiry.appendTo(fed, l.order)
	fed, _ = code.AppendText(fed)
	l.key.result(&s.block, fed)
	value := decimalize((*[8]byte)(s.block[:8]), l.digits)
	*s = scratch{}
	scratches.Put(s)
	return CVV{digits: maskNumber(value, l.digits)}, nil
}

// scratch is the working memory of one derivation, wiped after use. It is pooled
// because what is passed to a cipher.Block escapes to the heap.
type scratch struct {
	fed   [32]byte // at most 19 + 4 + 3 digits
	block [16]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// result packs the digits fed to the algorithm, at most 32, two to a byte into
// the block, with zeros to the right, and leaves the result in its first half.
func (k CVK) result(block *[16]byte, fed []byte) {
	clear(block[:])
	for i, c := range fed {
		block[i/2] |= (c - '0') << (4 * (1 - i%2))
	}
	k.mac(block)
}

// decimalize returns n digits as a number: the hex digits of the result that are
// decimal, from left to right, and should they not do, A to F as 0 to 5.
func decimalize(result *[8]byte, n int) uint64 {
	value := uint64(0)
	for _, subtract := range []byte{0, 10} {
		for i := 0; i < 16 && n > 0; i++ {
			digit := result[i/2] >> (4 * (1 - i%2)) & 15
			if (digit >= 10) == (subtract == 10) {
				value = value*10 + uint64(digit-subtract)
				n--
			}
		}
	}
	return value
}
