package seal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrSecret is the error of every attempt to marshal a [Key] or a [Keyring].
var ErrSecret = errors.New("seal: refusing to marshal a key; store its id instead")

// redacted is embedded in each type that holds a key, for its methods. Its text is
// what they print; the zero value prints as "no key".
type redacted string

// Format writes the id alone, whatever the verb and flags. It implements
// [fmt.Formatter].
func (c redacted) Format(s fmt.State, _ rune) { io.WriteString(s, c.String()) }

// String returns the id alone. It implements [fmt.Stringer].
func (c redacted) String() string { return cmp.Or(string(c), "no key") }

// LogValue returns the id alone. It implements [slog.LogValuer].
func (c redacted) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText fails with [ErrSecret]. JSON, XML and YAML encoders call it too.
func (redacted) MarshalText() ([]byte, error) { return nil, ErrSecret }

// MarshalBinary fails with [ErrSecret]. The gob encoder calls it too.
func (redacted) MarshalBinary() ([]byte, error) { return nil, ErrSecret }
