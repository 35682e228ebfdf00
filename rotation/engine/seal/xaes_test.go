package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha3"
	"encoding/hex"
	"sync"
	"testing"
)

// The vectors of https://c2sp.org/XAES-256-GCM: without and with a carry in the
// subkey.
func TestXAES(t *testing.T) {
	nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
	plaintext := []byte("XAES-256-GCM")
	for _, test := range []struct {
		key           byte
		context, want string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newXAES(bytes.Repeat([]byte{test.key}, KeySize))
		sealed := x.seal(nil, nonce, plaintext, []byte(test.context))
		if got := hex.EncodeToString(sealed); got != test.want {
			t.Errorf("key %d: %s, not %s", test.key, got, test.want)
		}
		if got, err := x.open(nonce, sealed, []byte(test.context)); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("key %d: opened as %q, %v", test.key, got, err)
		}
	}
}

// The accumulated test of the same page: 10,000 keys, nonces, plaintexts and
// contexts from one SHAKE-128, and what is sealed hashed by another.
func TestXAESAccumulated(t *testing.T) {
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
		sealed := x.seal(nil, nonce, plaintext, context)
		hash.Write(sealed)
		if got, err := x.open(nonce, sealed, context); err != nil || !bytes.Equal(got, plaintext) {
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

// Nonces share their first half, and so a derived key, for as often as it is good
// for, whoever asks for them at the same time; their second halves are all fresh.
func TestNonces(t *testing.T) {
	x := newXAES(make([]byte, KeySize))
	draw := func(n int) (firsts, seconds map[string]bool) {
		firsts, seconds = map[string]bool{}, map[string]bool{}
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range n / 4 {
					nonce := make([]byte, nonceSize)
					x.nonce(nonce)
					mu.Lock()
					firsts[string(nonce[:halfSize])], seconds[string(nonce[halfSize:])] = true, true
					mu.Unlock()
				}
			})
		}
		group.Wait()
		return firsts, seconds
	}
	x.nonce(make([]byte, nonceSize))
	if firsts, seconds := draw(1000); len(firsts) != 1 || len(seconds) != 1000 {
		t.Errorf("%d first halves, %d second halves", len(firsts), len(seconds))
	}
	x.sealing.Load().left.Store(500)
	if firsts, seconds := draw(1000); len(firsts) < 2 || len(firsts) > 5 || len(seconds) != 1000 {
		t.Errorf("%d first halves after the end of one, %d second halves", len(firsts), len(seconds))
	}
}

// What is remembered of one half is never used for another.
func TestRemembered(t *testing.T) {
	x := newXAES(make([]byte, KeySize))
	var nonces [300][nonceSize]byte
	for round := range 3 {
		for i := range nonces {
			nonce := nonces[(i*(round+1))%len(nonces)][:]
			if round == 0 {
				rand.Read(nonce)
			}
			want := newXAES(make([]byte, KeySize)).seal(nil, nonce, []byte("123"), nil)
			if got := x.seal(nil, nonce, []byte("123"), nil); !bytes.Equal(got, want) {
				t.Fatalf("sealed otherwise in round %d", round)
			}
		}
	}
}
