package config

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cvvrotation/rotation"
)

// Duration is a time.Duration in Go's spelling: 90s, 2m, 24h. It is no number,
// so that a file cannot say 5 and mean seconds.
type Duration struct {
	d     time.Duration
	wrong bool // what was read is none; Parse, which knows the field, reports it
}

// Lasting returns d as a Duration.
func Lasting(d time.Duration) Duration { return Duration{d: d} }

// Go returns d as a time.Duration.
func (d Duration) Go() time.Duration { return d.d }

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	*d = Duration{wrong: d.set(string(text)) != nil, d: d.d}
	return nil
}

func (d *Duration) set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil {
		return errDuration
	}
	*d = Lasting(v)
	return nil
}

var errDuration = errors.New("a duration such as 90s, 2m or 24h is needed")

// String returns the duration without parts that are zero: 2m, not 2m0s.
func (d Duration) String() string { return rotation.FormatDuration(d.d) }

// Secret is a text that must not be shown. The zero value is none. It formats as
// [redacted], and has nothing that reflection could read.
type Secret struct{ reveal func() string }

// NewSecret returns the text as a secret; of an empty one the zero value.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{func() string { return text }}
}

// Reveal returns the text; "" when there is none.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsSet reports whether there is one.
func (s Secret) IsSet() bool { return s.reveal != nil }

// UnmarshalText keeps the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Format writes [redacted], whatever the verb; nothing when there is none.
func (s Secret) Format(f fmt.State, _ rune) {
	if s.IsSet() {
		io.WriteString(f, "[redacted]")
	}
}
