package seal_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim/must"
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
	return must.Get(seal.NewKeyring(key(first), keys...))(t)
}

func TestOpen_OnlyWhatWasSealedForTheContext(t *testing.T) {
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

// testdata/sealed_v1.txt says what is in databases: tests read it and nothing
// writes it.
func TestOpen_WhatDatabasesHold(t *testing.T) {
	file := must.Get(os.ReadFile("testdata/sealed_v1.txt"))(t)
	one, last := make([]byte, seal.KeySize), make([]byte, seal.KeySize)
	for i := range one {
		one[i], last[i] = byte(i*7+3), byte(255-i*5)
	}
	r := must.Get(seal.NewKeyring(seal.NewKey(1, one), seal.NewKey(4294967295, last)))(t)
	rows := 0
	for line := range strings.Lines(string(file)) {
		if line[0] == '#' {
			continue
		}
		rows++
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		t.Run(columns[2], func(t *testing.T) {
			want := must.Get(strconv.Unquote(columns[1]))(t)
			context := must.Get(strconv.Unquote(columns[2]))(t)
			sealed := must.Get(hex.DecodeString(columns[3]))(t)
			if got, err := r.Open(sealed, []byte(context)); string(got) != want || err != nil {
				t.Errorf("opened as %q, %v; want %q", got, err, want)
			}
			if current := r.Current(sealed); current != (columns[0] == "1") {
				t.Errorf("Current = %v", current)
			}
			if again := r.Seal([]byte(want), []byte(context)); len(again) != len(sealed) {
				t.Errorf("sealed as %d bytes, want %d", len(again), len(sealed))
			}
		})
	}
	if rows != 6 {
		t.Errorf("%d rows, want 6", rows)
	}
}

func TestKeyring_OpensWithOldKeysAndSealsWithTheFirst(t *testing.T) {
	old := ring(t, 1)
	sealed := old.Seal([]byte("123"), nil)
	both := ring(t, 2, 1)
	if both.Current(sealed) || !old.Current(sealed) {
		t.Error("Current does not distinguish the old key from the new one")
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

func TestSeal_DrawsBothHalvesOfEachNonce(t *testing.T) {
	r, firsts, seconds := ring(t, 1), map[string]bool{}, map[string]bool{}
	for range 1000 {
		sealed := r.Seal([]byte("123"), nil)
		firsts[string(sealed[4:16])], seconds[string(sealed[16:28])] = true, true
	}
	if len(firsts) != 1000 || len(seconds) != 1000 {
		t.Errorf("%d first and %d second halves in 1000 seals", len(firsts), len(seconds))
	}
}

func TestNewKeyring_Refuses(t *testing.T) {
	short := seal.NewKey(1, make([]byte, 31))
	for _, test := range []struct {
		name string
		keys []seal.Key
		text string
	}{
		{"the zero key", []seal.Key{{}}, "the id 0 is reserved"},
		{"id 0", []seal.Key{key(0)}, "the id 0 is reserved"},
		{"an id twice", []seal.Key{key(1), key(2), key(1)}, "two keys have the id 1"},
		{"a short key", []seal.Key{short}, "key 1 has 31 bytes; 32 are needed"},
		{"a short second key", []seal.Key{key(2), short}, "key 1 has 31 bytes; 32 are needed"},
		{"a long key", []seal.Key{seal.NewKey(3, make([]byte, 33))}, "key 3 has 33 bytes; 32 are needed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := seal.NewKeyring(test.keys[0], test.keys[1:]...)
			if !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want ErrKey and %q", err, test.text)
			}
		})
	}
}

func TestNewKey_KeepsNoReferenceToTheSecret(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, seal.KeySize)
	r := must.Get(seal.NewKeyring(seal.NewKey(7, secret)))(t)
	clear(secret)
	if plain, err := r.Open(ring(t, 7).Seal([]byte("123"), nil), nil); string(plain) != "123" || err != nil {
		t.Errorf("opened as %q, %v after the secret was cleared", plain, err)
	}
}

const fipsEnv = "SEAL_TEST_FIPS140_ONLY"

// TestPackage_PassesUnderFIPS140Only runs this package's tests once more, in a
// process in which Go refuses what FIPS 140 does not allow.
func TestPackage_PassesUnderFIPS140Only(t *testing.T) {
	if os.Getenv(fipsEnv) != "" {
		if !fips140.Enforced() {
			t.Error("FIPS 140 is not enforced in the child process")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-rapid.nofailfile")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", fipsEnv+"=1")
	out, err := cmd.CombinedOutput()
	for _, name := range []string{t.Name(), "TestOpen_WhatDatabasesHold", "TestXAES_FollowsPublishedVectors"} {
		if !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
			t.Errorf("%s did not pass", name)
		}
	}
	if err != nil {
		t.Errorf("under fips140=only: %v\n%s", err, out)
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
			must.Get(r.Open(sealed, context))(b)
		}
	})
}

func TestParseKeys_SealsWithTheFirstAndNamesTheBadOne(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	ring := must.Get(seal.ParseKeys("# keys\n 3:" + key(32) + " 2:" + key(32) + "\n\n1:" + key(32) + " # the first\n"))(t)
	if sealed := ring.Seal(nil, nil); sealed[3] != 3 {
		t.Errorf("sealed with key %d, not with the first in the list", sealed[3])
	}
	for text, want := range map[string]string{
		"":                               "the list contains no key",
		"# 1:" + key(32):                 "the list contains no key",
		key(32):                          "key number 1 in the list: ID:BASE64",
		"0:" + key(32):                   "key number 1",
		"-1:" + key(32):                  "key number 1",
		"1:" + key(32) + " 4294967296:x": "key number 2",
		"7:%%%":                          "key 7 is not base64",
		"7:" + key(31):                   "key 7 has 31 bytes",
		"7:" + key(32) + " 7:" + key(32): "two keys have the id 7",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := seal.ParseKeys(text)
			if !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), key(31)[:20]) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// FuzzParseKeys looks for an error that quotes a key.
func FuzzParseKeys(f *testing.F) {
	f.Add("1:AAAA 2:BBBB")
	f.Add("# x\n4294967295:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		_, err := seal.ParseKeys(text)
		if err == nil {
			return
		}
		for word := range strings.FieldsSeq(text) {
			if _, secret, ok := strings.Cut(word, ":"); ok && len(secret) > 12 && strings.Contains(err.Error(), secret) {
				t.Errorf("%v quotes the key", err)
			}
		}
	})
}
