package engine

import (
	"encoding/binary"
	"errors"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
)

// cvvContext binds an encrypted CVV to its card and version, and to being a CVV.
func cvvContext(id string, version int64) []byte {
	b := make([]byte, 0, 4+8+store.MaxID)
	b = append(b, "cvv\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	return append(b, id...)
}

// identityContext binds encrypted particulars to their card.
func identityContext(id string) []byte { return append([]byte("pan\x00"), id...) }

// unreadable reports whether the error is of decrypting.
func unreadable(err error) bool {
	return errors.Is(err, seal.ErrOpen) || errors.Is(err, seal.ErrUnknownKey)
}
