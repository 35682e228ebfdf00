package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
)

// sealContext is what an encrypted value is bound to. Values are encrypted for bound.
// They also open for former, which has no account, until they are re-encrypted. No
// former context equals a bound one, so a value encrypted for bound never opens for
// former.
type sealContext struct {
	bound  []byte
	former []byte // nil: none
}

// cvvContext binds an encrypted CVV to its account, card and version, and to being a
// CVV.
func cvvContext(c *store.Card, version int64) sealContext {
	former := binary.BigEndian.AppendUint64([]byte("cvv\x00"), uint64(version))
	return sealContext{boundContext("cvv", c, version), append(former, c.ID...)}
}

// identityContext binds encrypted particulars to their account and card.
func identityContext(c *store.Card) sealContext {
	return sealContext{boundContext("pan", c, 0), append([]byte("pan\x00"), c.ID...)}
}

// compromisedContext binds encrypted compromised CVVs to their account and card.
func compromisedContext(c *store.Card) sealContext {
	return sealContext{bound: boundContext("compromised", c, 0)}
}

// boundContext returns purpose, account, card and version, each text after its length.
// It begins with a byte that is no letter, as former contexts do.
func boundContext(purpose string, c *store.Card, version int64) []byte {
	b := make([]byte, 0, 32+len(c.Account)+len(c.ID))
	b = append(b, 2)
	for _, text := range []string{purpose, c.Account, c.ID} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(version))
}

// open decrypts a value. The caller clears it.
func open(keys *seal.Keyring, sealed []byte, context sealContext) ([]byte, error) {
	plain, err := keys.Open(sealed, context.bound)
	if err == nil {
		return plain, nil
	}
	if context.former != nil {
		if plain, formerErr := keys.Open(sealed, context.former); formerErr == nil {
			return plain, nil
		}
	}
	return nil, err
}

// reencrypt re-encrypts a value that is not encrypted with the current key, or not bound
// to its account. It reports whether it was not.
func reencrypt(keys *seal.Keyring, sealed *[]byte, context sealContext) (bool, error) {
	if *sealed == nil {
		return false, nil
	}
	plain, err := keys.Open(*sealed, context.bound)
	current := err == nil && keys.Current(*sealed)
	if err != nil {
		plain, err = open(keys, *sealed, context)
	}
	defer clear(plain)
	if err != nil || current {
		return false, err
	}
	*sealed = keys.Seal(plain, context.bound)
	return true, nil
}

// errNoCVV is for a card whose row holds no CVV of the generator's kind. It matches
// seal.ErrOpen.
var errNoCVV = fmt.Errorf("the card has no CVV of this kind: it was registered with another kind of generator, or its row was altered: %w", seal.ErrOpen)

// unreadable reports whether the error is of decrypting.
func unreadable(err error) bool {
	return errors.Is(err, seal.ErrOpen) || errors.Is(err, seal.ErrUnknownKey)
}
