package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// Fingerprints returns a keyed hash of data under each key of the ring: the current
// key's first, then the others' in the order of their ids. Equal data has equal
// fingerprints. Without the key, data cannot be compared with a fingerprint. A
// fingerprint is the key's id and HMAC-SHA-256, with a key that HKDF (RFC 5869) derives
// from the secret.
func (r *Keyring) Fingerprints(data []byte) [][]byte {
	ids := []uint32{r.current}
	for _, id := range slices.Sorted(maps.Keys(r.keys)) {
		if id != r.current {
			ids = append(ids, id)
		}
	}
	prints := make([][]byte, len(ids))
	for i, id := range ids {
		prints[i] = append(binary.BigEndian.AppendUint32(nil, id), r.keys[id].mac(data)...)
	}
	return prints
}

// newMAC returns a keyed hash under a key that is derived from the secret.
func newMAC(secret []byte) func([]byte) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "cvvrotation fingerprint", sha256.Size)
	if err != nil {
		panic(err) // the lengths are right
	}
	return func(data []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(data)
		return h.Sum(nil)
	}
}
