package config

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cvvrotation/rotation"
)

// Duration is a time.Duration written as text, such as 90s, 2m, 24h. It is no number:
// 5 could be meant as seconds.
type Duration struct {
	d     time.Duration
	wrong bool // the text was invalid; Parse reports it with the field
}

// NewDuration returns d as a Duration.
func NewDuration(d time.Duration) Duration { return Duration{d: d} }

// Go returns d as a time.Duration.
func (d Duration) Go() time.Duration { return d.d }

// UnmarshalText parses a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	*d = Duration{wrong: d.set(string(text)) != nil, d: d.d}
	return nil
}

func (d *Duration) set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil {
		return errDuration
	}
	*d = NewDuration(v)
	return nil
}

var errDuration = errors.New("must be a duration, such as 90s, 2m or 24h")

// String returns the duration without zero parts: 2m, not 2m0s.
func (d Duration) String() string { return rotation.FormatDuration(d.d) }

// Secret is a text that must not be printed. The zero value holds none. It formats as
// [redacted], and reflection cannot read it.
type Secret struct{ reveal func() string }

// NewSecret returns the text as a secret. For an empty text it returns the zero value.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{func() string { return text }}
}

// Reveal returns the text, or "" if s is the zero value.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsSet reports whether s holds a text.
func (s Secret) IsSet() bool { return s.reveal != nil }

// UnmarshalText stores the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Format writes [redacted] for every verb, and nothing for the zero value.
func (s Secret) Format(f fmt.State, _ rune) {
	if s.IsSet() {
		io.WriteString(f, "[redacted]")
	}
}
