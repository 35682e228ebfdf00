package cvvgen

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// The errors of [NewCVK] and [NewInsecureTestCVK], matched with [errors.Is]. Messages
// name the half and the byte, never the key.
var (
	// ErrKeyLength is the error for a pair that is not 16 bytes long.
	ErrKeyLength = errors.New("cvvgen: a CVK pair has 16 bytes")
	// ErrKeyParity is the error for a byte with an even number of ones. DES keys have odd
	// parity, so that a mistyped or wrongly decrypted key is noticed.
	ErrKeyParity = errors.New("cvvgen: even parity in CVK, which is mistyped or wrongly decrypted")
	// ErrWeakKey is the error for one of the 4 weak and 12 semi-weak keys of DES (NIST SP
	// 800-67), whatever its parity bits.
	ErrWeakKey = errors.New("cvvgen: weak or semi-weak DES key in CVK")
	// ErrEqualHalves is the error for A equal to B, whatever the parity bits, which makes
	// the algorithm as weak as single DES.
	ErrEqualHalves = errors.New("cvvgen: CVK halves A and B are the same key")
	// ErrDESUnavailable is the error for a process that must not use DES, as
	// under GODEBUG=fips140=only. The algorithm of derived CVVs is DES: such a
	// process needs random CVVs, or a [Deriver] in a hardware security module.
	ErrDESUnavailable = errors.New("cvvgen: derived CVVs need DES, which this process forbids; use random CVVs or unset GODEBUG=fips140=only")
)

// CVK holds a card verification key pair A‖B, of 16 bytes, with its key schedules
// computed. The zero value is no key.
//
// It prints as "[redacted]" and refuses to be marshalled, like a [CVV]. It
// cannot be compared or revealed.
type CVK struct {
	redacted
	// mac replaces the first 8 bytes of the block by the result for all 16. The
	// key is in the function's closure, into which no printer can look.
	mac func(block *[16]byte)
}

// NewCVK returns the key for the 16 bytes A‖B. It checks length, parity, weak
// keys and that A is not B; the errors are [ErrKeyLength], [ErrKeyParity],
// [ErrWeakKey], [ErrEqualHalves] and [ErrDESUnavailable]. NewCVK keeps no
// reference to pair, which the caller should clear.
func NewCVK(pair []byte) (CVK, error) {
	if len(pair) != 16 {
		return CVK{}, fmt.Errorf("%w, got %d", ErrKeyLength, len(pair))
	}
	for i, b := range pair {
		if bits.OnesCount8(b)%2 == 0 {
			return CVK{}, fmt.Errorf("%w: half %c, byte %d of 8", ErrKeyParity, 'A'+i/8, i%8+1)
		}
	}
	a, b := keyBits(pair[:8]), keyBits(pair[8:])
	for i, half := range []uint64{a, b} {
		if slices.ContainsFunc(weakKeys[:], func(w uint64) bool { return w&parityMask == half }) {
			return CVK{}, fmt.Errorf("%w: half %c", ErrWeakKey, 'A'+i)
		}
	}
	if a == b {
		return CVK{}, ErrEqualHalves
	}
	return newCVK(pair)
}

// NewInsecureTestCVK is [NewCVK] without its checks, for test vectors, many of
// which were published with keys that no issuer may use. Never use it for cards.
// The errors are [ErrKeyLength] and [ErrDESUnavailable].
func NewInsecureTestCVK(pair []byte) (CVK, error) {
	if len(pair) != 16 {
		return CVK{}, fmt.Errorf("%w, got %d", ErrKeyLength, len(pair))
	}
	return newCVK(pair)
}

func newCVK(pair []byte) (CVK, error) {
	a, err := des.NewCipher(pair[:8])
	if err != nil {
		return CVK{}, fmt.Errorf("%w: %w", ErrDESUnavailable, err)
	}
	b, err := des.NewCipher(pair[8:])
	if err != nil {
		return CVK{}, fmt.Errorf("%w: %w", ErrDESUnavailable, err)
	}
	return CVK{mac: func(block *[16]byte) { mac(a, b, block) }}, nil
}

// mac is E_A(D_B(E_A(E_A(B1) ⊕ B2))) for the block B1‖B2, which is a CBC-MAC with
// a triple-DES end.
func mac(a, b cipher.Block, block *[16]byte) {
	b1, b2 := block[:8], block[8:]
	a.Encrypt(b1, b1)
	subtle.XORBytes(b1, b1, b2)
	a.Encrypt(b1, b1)
	b.Decrypt(b1, b1)
	a.Encrypt(b1, b1)
}

// IsValid reports whether k is a key; only the zero value is not.
func (k CVK) IsValid() bool { return k.mac != nil }

// parityMask leaves the 56 bits that DES uses.
const parityMask = 0xFEFEFEFEFEFEFEFE

func keyBits(half []byte) uint64 { return binary.BigEndian.Uint64(half) & parityMask }

// weakKeys are the weak keys, which undo themselves, and the semi-weak ones,
// which undo each other (NIST SP 800-67).
var weakKeys = [16]uint64{
	0x0101010101010101, 0xFEFEFEFEFEFEFEFE, 0xE0E0E0E0F1F1F1F1, 0x1F1F1F1F0E0E0E0E,
	0x011F011F010E010E, 0x1F011F010E010E01,
	0x01E001E001F101F1, 0xE001E001F101F101,
	0x01FE01FE01FE01FE, 0xFE01FE01FE01FE01,
	0x1FE01FE00EF10EF1, 0xE01FE01FF10EF10E,
	0x1FFE1FFE0EFE0EFE, 0xFE1FFE1FFE0EFE0E,
	0xE0FEE0FEF1FEF1FE, 0xFEE0FEE0FEF1FEF1,
}
