package rotation

import (
	"math"
	"time"
)

// Kind says what an event asks for. The zero value is no kind.
type Kind uint8

const (
	// KindForced is a call that rotates at once.
	KindForced Kind = iota + 1
	// KindAuto is a timer that fired.
	KindAuto
	// KindSetInterval turns automatic rotation on or changes its interval.
	KindSetInterval
	// KindDisable turns automatic rotation off.
	KindDisable
)

var kindNames = []string{KindForced: "forced", KindAuto: "auto", KindSetInterval: "set_interval", KindDisable: "disable"}

// String returns the kind as timelines spell it: forced, auto, set_interval or
// disable. An unknown kind prints as Kind(n).
func (k Kind) String() string { return enumString("Kind", kindNames, k) }

// MarshalText returns what String does; an unknown kind is an error that wraps
// [ErrKind].
func (k Kind) MarshalText() ([]byte, error) { return enumMarshal(kindNames, k, ErrKind) }

// UnmarshalText accepts what String returns; anything else is an error that
// wraps [ErrKind] and leaves k as it was.
func (k *Kind) UnmarshalText(text []byte) error { return enumUnmarshal(kindNames, k, text, ErrKind) }

// Event holds what happened to one card, and when. Make one with
// [Forced], [AutoSlot], [AutoUnslotted], [SetInterval],
// [SetIntervalFirst] or [Disable]; the zero Event is refused with [ErrKind]. Events are comparable.
//
// The constructors accept anything; [Rules.Decide] is where an event is
// checked.
type Event struct {
	at       int64 // ns since 1970, or outOfRange
	extra    int64 // the slot of an auto, the first of a set_interval
	interval int64 // ns, of a set_interval
	form     form
}

// form is the constructor that made an event. Four words make an Event: the
// compiler keeps that many in registers, and no more.
type form uint8

const (
	formForced form = iota + 1
	formAuto
	formAutoSlot
	formSetInterval
	formSetIntervalFirst
	formDisable
)

var kindOfForm = [...]Kind{
	formForced: KindForced, formAuto: KindAuto, formAutoSlot: KindAuto,
	formSetInterval: KindSetInterval, formSetIntervalFirst: KindSetInterval, formDisable: KindDisable,
}

// Forced returns the event of a call at the instant at that rotates at once (R1 to
// R3, R15).
func Forced(at time.Time) Event { return Event{form: formForced, at: toNanos(at)} }

// AutoSlot returns the event of a timer that was armed for slot and fired at the
// instant at. It rotates once, however many replicas deliver it: a later delivery is
// a duplicate (R12). Pollers get theirs from [State.Due].
func AutoSlot(at, slot time.Time) Event {
	return Event{form: formAutoSlot, at: toNanos(at), extra: toNanos(slot)}
}

// AutoUnslotted returns the event of a timer that fired at the instant at and does
// not say for which slot. Each delivery rotates, so two pollers, or one repeated
// delivery, rotate twice. Use it only for a timer that cannot carry a slot and fires
// once; use [AutoSlot] or [State.Due] otherwise.
func AutoUnslotted(at time.Time) Event { return Event{form: formAuto, at: toNanos(at)} }

// SetInterval returns the event that turns automatic rotation on, or changes its
// interval, at the instant at. The interval is longer than the guard and up to
// [MaxInterval] (R22). The first slot is one interval after at (R8).
func SetInterval(at time.Time, interval time.Duration) Event {
	return Event{form: formSetInterval, at: toNanos(at), interval: int64(interval)}
}

// SetIntervalFirst is [SetInterval] with the first slot given: after at, and up to
// one interval after it (R22). It spreads cards that are enrolled together.
func SetIntervalFirst(at time.Time, interval time.Duration, first time.Time) Event {
	return Event{form: formSetIntervalFirst, at: toNanos(at), interval: int64(interval), extra: toNanos(first)}
}

// Disable returns the event that turns automatic rotation off at the instant at (R10).
func Disable(at time.Time) Event { return Event{form: formDisable, at: toNanos(at)} }

// Equal reports whether e == other: the same constructor and the same instants,
// wherever on Earth and without their monotonic readings. go-cmp uses it.
func (e Event) Equal(other Event) bool { return e == other }

// Kind returns the event's kind.
func (e Event) Kind() Kind { return kindOfForm[e.form] }

// At returns the event's instant in UTC, or the zero time if it is outside the
// years 1970 to 2200.
func (e Event) At() time.Time { return fromNanos(e.at) }

// Slot returns the slot that an automatic event names, and whether it does.
func (e Event) Slot() (slot time.Time, ok bool) {
	if e.form != formAutoSlot {
		return time.Time{}, false
	}
	return fromNanos(e.extra), true
}

// Interval returns the interval of a set_interval event, 0 for other events.
func (e Event) Interval() time.Duration { return time.Duration(e.interval) }

// First returns the first slot that a set_interval event names, and whether it
// does.
func (e Event) First() (first time.Time, ok bool) {
	if e.form != formSetIntervalFirst {
		return time.Time{}, false
	}
	return fromNanos(e.extra), true
}

// Instants are nanoseconds since 1970 inside this package. Events accept the
// years 1970 to 2200; slots can lie one interval further, which int64 still
// holds with decades to spare.
const (
	endOfInstants = 7_289_654_400 * int64(time.Second) // 2201-01-01T00:00:00Z
	endOfSlots    = endOfInstants + int64(MaxInterval)

	outOfRange = math.MinInt64 // marks an instant that does not fit
)

// toNanos is small enough to be inlined into the constructors.
func toNanos(t time.Time) int64 {
	if s := t.Unix(); uint64(s) < uint64(endOfInstants/int64(time.Second)) {
		return s*int64(time.Second) + int64(t.Nanosecond())
	}
	return outOfRange
}

func fromNanos(n int64) time.Time {
	if n == outOfRange {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func validInstant(n int64) bool { return uint64(n) < uint64(endOfInstants) }
