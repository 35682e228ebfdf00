// Package seal encrypts what must be stored of a card: XAES-256-GCM with a random
// nonce, the key's id in front, and a context as associated data. What was sealed
// for one card, or one version of its CVV, does not open for another.
//
// A [Keyring] holds one key that seals and any number that only open. To change
// keys, add the new key as the first, re-encrypt what is stored ([Keyring.Current]
// reports what needs it), then remove the old one.
//
// A key may seal 2⁸⁰ times with random nonces. AES-256-GCM alone allows 2³² (NIST SP
// 800-38D, 8.3), which ten million cards use up in 18 days of hourly rotations.
//
// The package works under GODEBUG=fips140=only.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrKey is the error for a key with the id 0, an id that another key has,
	// or a length other than [KeySize].
	ErrKey = errors.New("seal: unusable key")
	// ErrUnknownKey is the error for data sealed under a key that is not in the
	// keyring. The message gives the key's id.
	ErrUnknownKey = errors.New("seal: sealed under a key that the keyring does not have")
	// ErrOpen is the error for data that was altered, cut short, or sealed for
	// another context.
	ErrOpen = errors.New("seal: does not open: altered, or sealed for another account, card, version or purpose, or with another key of the same id")
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Overhead is the number of bytes that sealing adds.
const Overhead = 4 + nonceSize + 16

// Key is a key and the id that is stored with what it seals. Make one with
// [NewKey]; [NewKeyring] refuses the zero Key.
//
// It prints as its id and refuses to be marshalled, with [ErrSecret].
type Key struct {
	redacted
	id   uint32
	size int // of the secret in bytes
	// xaes returns the cipher. It is in the function's closure, into which no
	// printer can look.
	xaes func() *xaes
	// mac returns a keyed hash, likewise.
	mac func(data []byte) []byte
}

// NewKey returns the key with the given id and secret. The id must not be 0 and
// must never be given to another key; the secret has [KeySize] bytes.
// [NewKeyring] checks both. NewKey keeps no reference to the secret, which the
// caller should clear.
func NewKey(id uint32, secret []byte) Key {
	k := Key{redacted: redacted(fmt.Sprintf("key %d", id)), id: id, size: len(secret)}
	if len(secret) == KeySize {
		x := newXAES(secret)
		k.xaes = func() *xaes { return x }
		k.mac = newMAC(secret)
	}
	return k
}

// Keyring seals and opens. It is safe for concurrent use. The zero Keyring opens
// nothing and must not seal.
//
// It prints as the id of the key that seals and refuses to be marshalled, with
// [ErrSecret].
type Keyring struct {
	redacted
	current uint32
	keys    map[uint32]Key
}

// NewKeyring returns a keyring that seals with the first key and opens with all.
// The error matches [ErrKey].
func NewKeyring(first Key, others ...Key) (*Keyring, error) {
	r := &Keyring{
		redacted: redacted(fmt.Sprintf("keyring that seals with key %d", first.id)),
		current:  first.id, keys: make(map[uint32]Key, 1+len(others)),
	}
	for _, k := range append([]Key{first}, others...) {
		if k.id == 0 {
			return nil, fmt.Errorf("%w: the id 0 is reserved; use 1 to 4294967295", ErrKey)
		}
		if _, ok := r.keys[k.id]; ok {
			return nil, fmt.Errorf("%w: two keys have the id %d", ErrKey, k.id)
		}
		if k.size != KeySize {
			return nil, fmt.Errorf("%w: key %d has %d bytes; %d are needed", ErrKey, k.id, k.size, KeySize)
		}
		r.keys[k.id] = k
	}
	return r, nil
}

// CanSeal reports whether the keyring has a key to seal with. The zero Keyring and
// nil have none.
func (r *Keyring) CanSeal() bool { return r != nil && r.keys[r.current].xaes != nil }

// ID returns the id of the key that seals; 0 for a keyring without one.
func (r *Keyring) ID() uint32 {
	if !r.CanSeal() {
		return 0
	}
	return r.current
}

// Has reports whether the keyring has the key with the id.
func (r *Keyring) Has(id uint32) bool {
	if r == nil {
		return false
	}
	_, ok := r.keys[id]
	return ok
}

// Seal returns plaintext sealed for context, [Overhead] bytes longer.
func (r *Keyring) Seal(plaintext, context []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, Overhead+len(plaintext)), r.current)
	return r.keys[r.current].xaes().seal(b, plaintext, context)
}

// Open returns the plaintext that was sealed for context. The error matches
// [ErrUnknownKey] or [ErrOpen].
func (r *Keyring) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	key, ok := r.keys[binary.BigEndian.Uint32(sealed)]
	if !ok {
		return nil, fmt.Errorf("%w: key %d", ErrUnknownKey, binary.BigEndian.Uint32(sealed))
	}
	plaintext, err := key.xaes().open(sealed[4:], context)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// Current reports whether sealed was sealed with the key that Seal uses.
func (r *Keyring) Current(sealed []byte) bool {
	return len(sealed) >= 4 && binary.BigEndian.Uint32(sealed) == r.current
}
