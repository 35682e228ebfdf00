package engine

import (
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
)

// OpenSealed decrypts one of the card's encrypted values.
func OpenSealed(keys *seal.Keyring, sealed []byte, c *store.Card) ([]byte, error) {
	var plain []byte
	var err error
	for _, context := range []sealContext{cvvContext(c, c.Version), cvvContext(c, c.Version-1), identityContext(c)} {
		if plain, err = open(keys, sealed, context); err == nil {
			break
		}
	}
	return plain, err
}

// SealIdentity encrypts the particulars of a card.
func SealIdentity(keys *seal.Keyring, plain []byte, c *store.Card) []byte {
	return keys.Seal(plain, identityContext(c).bound)
}
