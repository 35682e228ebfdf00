package rotation

import (
	"fmt"
	"time"
)

// DefaultGuard is the time between two schedulings that the zero [Rules] ask
// for: 2 minutes, the validation between scheduling requests that the platform
// documents.
const DefaultGuard = 2 * time.Minute

// MaxInterval is the longest interval that [SetInterval] accepts (R22): ten
// years of 365 days.
const MaxInterval = 10 * 365 * 24 * time.Hour

// GuardFrom says which event starts the guard (R16). The zero value is
// [GuardFromRequest].
type GuardFrom uint8

const (
	// GuardFromRequest measures the guard from the previous scheduling request:
	// every rotation, whether or not it got a new scheduling, and every new
	// interval. S1, S2 and S3 hold word for word under it.
	GuardFromRequest GuardFrom = iota
	// GuardFromScheduling measures the guard from the last scheduling that took
	// place. S1, S2 and S3 can then fail for the third event of a chain.
	GuardFromScheduling
)

var guardFromNames = []string{GuardFromRequest: "request", GuardFromScheduling: "scheduling"}

// String returns "request" or "scheduling"; an unknown value prints as
// GuardFrom(n).
func (f GuardFrom) String() string { return enumString("GuardFrom", guardFromNames, f) }

// MarshalText returns what String does; an unknown value is an error that
// wraps [ErrGuardFrom].
func (f GuardFrom) MarshalText() ([]byte, error) {
	return enumMarshal(guardFromNames, f, ErrGuardFrom)
}

// UnmarshalText accepts "request" and "scheduling"; anything else is an error
// that wraps [ErrGuardFrom] and leaves f as it was.
func (f *GuardFrom) UnmarshalText(text []byte) error {
	return enumUnmarshal(guardFromNames, f, text, ErrGuardFrom)
}

// Rules are the settings that decisions are made under: how long the guard is
// and where it is measured from. The zero value is ready to use: 2 minutes,
// from the previous request. Rules are comparable, and always valid, because
// only [NewRules] makes other ones.
type Rules struct {
	guardBeyondDefault int64 // ns; so that the zero value is the default
	guardFrom          GuardFrom
}

// NewRules returns rules with the given guard and the event it is measured
// from. A guard of 0 holds nothing. A negative guard is an error that wraps
// [ErrGuard], an unknown from one that wraps [ErrGuardFrom] (R22).
func NewRules(guard time.Duration, from GuardFrom) (Rules, error) {
	if guard < 0 {
		return Rules{}, fmt.Errorf("rotation: guard %v: %w: use 0 for none or a positive duration such as 2m", guard, ErrGuard)
	}
	if int(from) >= len(guardFromNames) {
		return Rules{}, fmt.Errorf("rotation: %v: %w", from, ErrGuardFrom)
	}
	return Rules{guardBeyondDefault: int64(guard - DefaultGuard), guardFrom: from}, nil
}

// Equal reports whether r == other. go-cmp uses it.
func (r Rules) Equal(other Rules) bool { return r == other }

// Guard returns the guard's length.
func (r Rules) Guard() time.Duration { return DefaultGuard + time.Duration(r.guardBeyondDefault) }

// GuardFrom returns the event that the guard is measured from.
func (r Rules) GuardFrom() GuardFrom { return r.guardFrom }
