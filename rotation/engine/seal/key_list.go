package seal

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// ParseKeys returns the keyring of a list of keys: ID:BASE64, separated by white
// space, the key that seals first. A # begins a comment up to the end of the line.
// The error matches [ErrKey]. It names the key's id or its place in the list, never the
// key.
func ParseKeys(text string) (*Keyring, error) {
	var keys []Key
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for word := range strings.FieldsSeq(line) {
			id, encoded, ok := strings.Cut(word, ":")
			number, err := strconv.ParseUint(id, 10, 32)
			if !ok || err != nil || number == 0 {
				return nil, fmt.Errorf("%w: key number %d in the list: ID:BASE64 is needed, with an id of 1 to 4294967295", ErrKey, len(keys)+1)
			}
			secret, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, fmt.Errorf("%w: key %d is not base64", ErrKey, number)
			}
			keys = append(keys, NewKey(uint32(number), secret))
			clear(secret)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the list contains no key", ErrKey)
	}
	return NewKeyring(keys[0], keys[1:]...)
}
