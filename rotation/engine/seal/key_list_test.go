package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/seal"
)

func TestParseKeys_SealsWithTheFirstAndNamesTheBadOne(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	ring := must.Get(seal.ParseKeys(context.Background(), "# keys\n 3:"+key(32)+" 2:"+key(32)+"\n\n1:"+key(32)+" # the first\n", nil))(t)
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
			_, err := seal.ParseKeys(context.Background(), text, nil)
			if !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), key(31)[:20]) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

type reversing struct{ fail error }

func (r reversing) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	for i, j := 0, len(wrapped)-1; i < j; i, j = i+1, j-1 {
		wrapped[i], wrapped[j] = wrapped[j], wrapped[i]
	}
	return wrapped, r.fail
}

func TestParseKeys_UnwrapsWithTheKMS(t *testing.T) {
	plain := append(bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)...)
	wrapped := append(bytes.Repeat([]byte{2}, 16), bytes.Repeat([]byte{1}, 16)...)
	ctx := context.Background()
	direct := must.Get(seal.ParseKeys(ctx, "1:"+base64.StdEncoding.EncodeToString(plain), nil))(t)
	through := must.Get(seal.ParseKeys(ctx, "1:"+base64.StdEncoding.EncodeToString(wrapped), reversing{}))(t)
	if got, err := direct.Open(through.Seal([]byte("x"), nil), nil); string(got) != "x" {
		t.Error(err)
	}
	if _, err := seal.ParseKeys(ctx, "1:AAAA", reversing{errors.New("denied")}); err == nil || !strings.Contains(err.Error(), "key 1: unwrapping failed: denied") {
		t.Error(err)
	}
}

// FuzzParseKeys looks for an error that quotes a key.
func FuzzParseKeys(f *testing.F) {
	f.Add("1:AAAA 2:BBBB")
	f.Add("# x\n4294967295:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		_, err := seal.ParseKeys(context.Background(), text, nil)
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
