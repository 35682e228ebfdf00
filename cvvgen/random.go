package cvvgen

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// ErrDigits is the error for a number of digits that a generator does not offer.
var ErrDigits = errors.New("cvvgen: unsupported number of digits")

// Random generates random CVVs with crypto/rand, each equally likely. The zero
// value generates 3 digits, unbuffered.
type Random struct {
	four   bool
	chunks *sync.Pool // of *chunk; nil for reading each value from the system
}

// NewRandom returns a generator of CVVs of 3 or 4 digits, which asks crypto/rand
// for each. The error matches [ErrDigits].
func NewRandom(digits int) (*Random, error) {
	if digits != 3 && digits != 4 {
		return nil, fmt.Errorf("%w: random CVVs have 3 or 4, not %d", ErrDigits, digits)
	}
	return &Random{four: digits == 4}, nil
}

// NewBufferedRandom is [NewRandom] with buffers: it reads 4 KiB at a time and
// wipes the bytes as it uses them. It is for generating very many CVVs on many
// goroutines.
//
// The price: some 2,000 future CVVs lie in memory per processor, where a memory
// dump finds them before they are issued, and a virtual machine that is cloned
// or restored from a snapshot gives them out twice.
func NewBufferedRandom(digits int) (*Random, error) {
	r, err := NewRandom(digits)
	if err != nil {
		return nil, err
	}
	r.chunks = &sync.Pool{New: func() any { return &chunk{used: chunkSize} }}
	return r, nil
}

// Next returns a random CVV other than current, which it is to replace, and
// uniform over the rest. The zero CVV and one of another length exclude nothing.
// It does not fail; crypto/rand ends the program if the system has no
// randomness.
func (r *Random) Next(current CVV) CVV {
	for {
		var b [2]byte
		if r.chunks == nil {
			rand.Read(b[:])
		} else {
			r.readBuffered(&b)
		}
		// Drawing again, rather than stepping aside, keeps the rest uniform.
		if c, ok := r.from(binary.LittleEndian.Uint16(b[:])); ok && c != current {
			return c
		}
	}
}

// from maps 65,000 (4 digits: 60,000) of the 65,536 inputs onto the CVVs, each
// the same number of times, and rejects the rest.
func (r *Random) from(u uint16) (CVV, bool) {
	if r.four {
		return CVV{digits: maskNumber(uint64(u%10_000), 4)}, u < 60_000
	}
	return CVV{digits: maskNumber(uint64(u%1000), 3)}, u < 65_000
}

// chunkSize is even: values take two bytes.
const chunkSize = 4096

// chunk is random bytes, of which the first used ones are gone.
type chunk struct {
	bytes [chunkSize]byte
	used  int
}

func (r *Random) readBuffered(b *[2]byte) {
	c := r.chunks.Get().(*chunk)
	if c.used == chunkSize {
		rand.Read(c.bytes[:])
		c.used = 0
	}
	next := c.bytes[c.used : c.used+len(b)]
	copy(b[:], next)
	clear(next)
	c.used += len(b)
	r.chunks.Put(c)
}
