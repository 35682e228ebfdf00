// Package cardid checks the ids of cards and the names of accounts.
package cardid

import (
	"errors"
	"fmt"
	"strings"
)

// Max is the maximum length of an id and of a name, in bytes.
const Max = 64

// Check returns an error if id cannot be the id of a card: it must be a name (see
// CheckName) and must not look like a PAN, since ids are in logs and events.
func Check(id string) error {
	if err := CheckName(id); err != nil {
		return err
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_:.", r) {
			return -1
		}
		return r
	}, id)
	if len(digits) >= 12 && len(digits) <= 19 && strings.Trim(digits, "0123456789") == "" {
		return errors.New("must not be 12 to 19 digits: that could be a card number, and ids are in logs and events")
	}
	return nil
}

// CheckName returns an error if name is not fit for paths and logs: 1 to Max
// letters, digits and - _ : . of ASCII, without a leading dot.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > Max {
		return fmt.Errorf("must have 1 to %d characters", Max)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == ':':
		case c == '.' && i > 0:
		default:
			return errors.New("must consist of letters, digits and - _ : . (ASCII, no leading dot)")
		}
	}
	return nil
}
