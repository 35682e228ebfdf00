// Package seal encrypts what has to be stored of a card: XAES-256-GCM with a
// random nonce, the key's id in front, and a context as associated data, so that
// what was sealed for one card, or one version of its CVV, does not open for
// another.
//
// A [Keyring] holds one key that seals and any number that only open. To change
// keys, add the new one as the first, open and seal again what is stored
// ([Keyring.Current] tells what needs it), then take the old one out.
//
// A key is good for more seals than there will be. AES-256-GCM alone allows random
// nonces 2³² (NIST SP 800-38D, 8.3), which ten million cards use up in 18 days of
// hourly rotations.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrKey is for a key that can't be used: of another length than 32
	// bytes, with the id 0, or an id twice.
	ErrKey = errors.New("seal: unusable key")
	// ErrUnknownKey is for something sealed under a key that is not in the
	// keyring. The message gives the key's id.
	ErrUnknownKey = errors.New("seal: sealed under a key that the keyring does not have")
	// ErrOpen is for something that was altered, cut short, or sealed for
	// something else.
	ErrOpen = errors.New("seal: does not open: altered, or sealed for another card, version or purpose, or with another key of the same id")
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Overhead is how many bytes a seal adds.
const Overhead = 4 + nonceSize + 16

// Key is a key and the id that is stored with what it seals.
type Key struct {
	ID     uint32 // not 0, and never used for another key
	Secret []byte // KeySize bytes
}

// String returns the id alone.
func (k Key) String() string { return fmt.Sprintf("key %d", k.ID) }

// Format writes the id alone, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "key %d", k.ID) }

// Keyring seals and opens. It is safe for concurrent use. The zero Keyring opens
// nothing and must not seal.
type Keyring struct {
	current uint32
	keys    map[uint32]*xaes
}

// NewKeyring returns a keyring that seals with the first key and opens with all.
// It keeps no reference to the secrets, which the caller should clear. The error
// matches ErrKey.
func NewKeyring(first Key, others ...Key) (*Keyring, error) {
	r := &Keyring{current: first.ID, keys: make(map[uint32]*xaes, 1+len(others))}
	for _, k := range append([]Key{first}, others...) {
		if k.ID == 0 {
			return nil, fmt.Errorf("%w: the id 0 is not for use", ErrKey)
		}
		if _, ok := r.keys[k.ID]; ok {
			return nil, fmt.Errorf("%w: id %d twice", ErrKey, k.ID)
		}
		if len(k.Secret) != KeySize {
			return nil, fmt.Errorf("%w: key %d has %d bytes, not %d", ErrKey, k.ID, len(k.Secret), KeySize)
		}
		r.keys[k.ID] = newXAES(k.Secret)
	}
	return r, nil
}

// Seal returns plaintext sealed for context, Overhead bytes longer.
func (r *Keyring) Seal(plaintext, context []byte) []byte {
	b := make([]byte, 4+nonceSize, Overhead+len(plaintext))
	binary.BigEndian.PutUint32(b, r.current)
	key := r.keys[r.current]
	key.nonce(b[4:])
	return key.seal(b, b[4:], plaintext, context)
}

// Open returns what was sealed for context. The error matches ErrUnknownKey or
// ErrOpen.
func (r *Keyring) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	key, ok := r.keys[binary.BigEndian.Uint32(sealed)]
	if !ok {
		return nil, fmt.Errorf("%w: key %d", ErrUnknownKey, binary.BigEndian.Uint32(sealed))
	}
	nonce, ciphertext := sealed[4:4+nonceSize], sealed[4+nonceSize:]
	plaintext, err := key.open(nonce, ciphertext, context)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// Current reports whether sealed was sealed with the key that Seal uses now.
func (r *Keyring) Current(sealed []byte) bool {
	return len(sealed) >= 4 && binary.BigEndian.Uint32(sealed) == r.current
}
