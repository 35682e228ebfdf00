package seal_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/seal"
)

// mac is HMAC-SHA-256.
func mac(key []byte, data ...byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// A fingerprint is the key's id and the hash, which is computed here by RFC 5869, 2.2 and
// 2.3, for one block.
func TestFingerprints_AreHMACUnderADerivedKey(t *testing.T) {
	r := ring(t, 7, 9, 6)
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data")
		got := r.Fingerprints(data)
		if len(got) != 3 {
			t.Fatalf("%d fingerprints for 3 keys", len(got))
		}
		for i, id := range []byte{7, 6, 9} {
			extracted := mac(make([]byte, sha256.Size), bytes.Repeat([]byte{id}, seal.KeySize)...)
			expanded := mac(extracted, append([]byte("cvvrotation fingerprint"), 1)...)
			if want := append([]byte{0, 0, 0, id}, mac(expanded, data...)...); !bytes.Equal(got[i], want) {
				t.Fatalf("fingerprint %d is %x, want %x", i, got[i], want)
			}
		}
	})
}
