package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/sha3"
	"encoding/hex"
	"slices"
	"testing"

	"cvvrotation/sim/must"
)

// sealWith seals with a nonce of the test's choice, as the published vectors do.
func sealWith(t *testing.T, x *xaes, nonce, plaintext, context []byte) (sealed []byte) {
	t.Helper()
	fips140.WithoutEnforcement(func() { // which otherwise forbids to choose a nonce
		gcm := must.Get(cipher.NewGCM(x.derive(nonce[:halfSize])))(t)
		sealed = gcm.Seal(nil, nonce[halfSize:], plaintext, context)
	})
	return sealed
}

// The vectors of https://c2sp.org/XAES-256-GCM: without and with a carry in the
// subkey.
func TestXAES_FollowsPublishedVectors(t *testing.T) {
	nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
	plaintext := []byte("XAES-256-GCM")
	for _, test := range []struct {
		name          string
		key           byte
		context, want string
	}{
		{"without a carry", 1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"with a carry", 3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := newXAES(bytes.Repeat([]byte{test.key}, KeySize))
			sealed := sealWith(t, x, nonce, plaintext, []byte(test.context))
			if got := hex.EncodeToString(sealed); got != test.want {
				t.Errorf("sealed as %s, want %s", got, test.want)
			}
			if got, err := x.open(slices.Concat(nonce, sealed), []byte(test.context)); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("opened as %q, %v", got, err)
			}
		})
	}
}

// The accumulated test of the same page: 10,000 keys, nonces, plaintexts and
// contexts from one SHAKE-128, and what is sealed hashed by another.
func TestXAES_FollowsAccumulatedVectors(t *testing.T) {
	source, hash := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		source.Read(b)
		return b
	}
	for range 10_000 {
		key, nonce := read(KeySize), read(nonceSize)
		plaintext := read(int(read(1)[0]))
		context := read(int(read(1)[0]))
		x := newXAES(key)
		sealed := sealWith(t, x, nonce, plaintext, context)
		hash.Write(sealed)
		if got, err := x.open(slices.Concat(nonce, sealed), context); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("opened as %x, %v; sealed was %x", got, err, plaintext)
		}
	}
	sum := make([]byte, 32)
	hash.Read(sum)
	const want = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	if got := hex.EncodeToString(sum); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
