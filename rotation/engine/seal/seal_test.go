package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/seal"
)

func key(id uint32) seal.Key {
	return seal.NewKey(id, bytes.Repeat([]byte{byte(id)}, seal.KeySize))
}

func ring(t testing.TB, first uint32, others ...uint32) *seal.Keyring {
	t.Helper()
	keys := make([]seal.Key, len(others))
	for i, id := range others {
		keys[i] = key(id)
	}
	r, err := seal.NewKeyring(key(first), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOpensOnlyAsSealed: with the same context and untouched, and in no other
// way.
func TestOpensOnlyAsSealed(t *testing.T) {
	r := ring(t, 7, 6)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "plain")
		context := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "context")
		sealed := r.Seal(plain, context)
		if len(sealed) != len(plain)+seal.Overhead {
			t.Fatalf("%d bytes sealed as %d", len(plain), len(sealed))
		}
		got, err := r.Open(sealed, context)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened as %x, %v", got, err)
		}
		if _, err := r.Open(sealed, append(context, 0)); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("another context: %v", err)
		}
		if _, err := r.Open(sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], context); err == nil {
			t.Fatal("opened though cut short")
		}
		bad := bytes.Clone(sealed)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := r.Open(bad, context); !errors.Is(err, seal.ErrOpen) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("altered: %v", err)
		}
	})
}

func TestKeyChange(t *testing.T) {
	old := ring(t, 1)
	sealed := old.Seal([]byte("123"), nil)
	both := ring(t, 2, 1)
	if both.Current(sealed) || !old.Current(sealed) {
		t.Error("Current does not tell old from new")
	}
	if plain, err := both.Open(sealed, nil); err != nil || string(plain) != "123" {
		t.Errorf("the old key does not open: %v", err)
	}
	again := both.Seal([]byte("123"), nil)
	if !both.Current(again) {
		t.Error("the first key does not seal")
	}
	if _, err := old.Open(again, nil); !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), "key 2") {
		t.Errorf("without the key: %v", err)
	}
}

func TestNonceIsFresh(t *testing.T) {
	r, seen := ring(t, 1), map[string]bool{}
	for range 1000 {
		seen[string(r.Seal([]byte("123"), nil)[4:28])] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d nonces in 1000 seals", len(seen))
	}
}

func TestNewKeyringRefuses(t *testing.T) {
	short := seal.NewKey(1, make([]byte, 31))
	for name, keys := range map[string][]seal.Key{
		"id 0": {key(0)}, "twice": {key(1), key(2), key(1)}, "short": {short}, "short second": {key(2), short},
	} {
		_, err := seal.NewKeyring(keys[0], keys[1:]...)
		if !errors.Is(err, seal.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := seal.NewKey(9, bytes.Repeat([]byte("S"), 32))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k) + fmt.Sprintf(verb, []seal.Key{k}); strings.Contains(got, "SS") || strings.Contains(got, "5353") || strings.Contains(got, "83 83") {
			t.Errorf("%s prints the key", verb)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	r := ring(b, 1)
	context := binary.BigEndian.AppendUint64([]byte("cvv"), 1)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Seal([]byte("123"), context)
		}
	})
	b.Run("open", func(b *testing.B) {
		sealed := r.Seal([]byte("123"), context)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Open(sealed, context); err != nil {
				b.Fatal(err)
			}
		}
	})
}
