package cvvgen

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrSecret is the error of every attempt to marshal a CVV, a PAN or a CVK.
// Refusing beats storing a placeholder, which is noticed when the value is
// needed.
var ErrSecret = errors.New("cvvgen: refusing to marshal a secret; reveal and encrypt it where it must be stored")

const redaction = "[redacted]"

// redacted is embedded in each secret type for its methods. They do not depend
// on the value: they show neither its length nor its absence.
type redacted struct{}

// Format writes "[redacted]" whatever the verb and flags. (fmt does not ask it
// for %T, %p and a misplaced %w.) It implements [fmt.Formatter].
func (redacted) Format(s fmt.State, _ rune) { io.WriteString(s, redaction) }

// String returns "[redacted]". It implements [fmt.Stringer].
func (redacted) String() string { return redaction }

// LogValue returns "[redacted]". It implements [slog.LogValuer].
func (redacted) LogValue() slog.Value { return slog.StringValue(redaction) }

// MarshalText fails with [ErrSecret]. JSON, XML and YAML encoders call it too.
func (redacted) MarshalText() ([]byte, error) { return nil, ErrSecret }

// MarshalBinary fails with [ErrSecret]. The gob encoder calls it too.
func (redacted) MarshalBinary() ([]byte, error) { return nil, ErrSecret }

// Value fails with [ErrSecret]. It implements [driver.Valuer], so that a secret
// cannot be a parameter of an SQL statement.
func (redacted) Value() (driver.Value, error) { return nil, ErrSecret }
