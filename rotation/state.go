package rotation

import (
	"iter"
	"time"
)

// State is all that the rules remember of one card. The zero value is a card
// without automatic rotation that nothing has happened to. States are
// comparable with ==, are changed by nothing, and hold no secret. Only
// [Rules.Decide] and the decoders make other ones, so every State is a valid
// one.
//
// Four words make a State: the compiler keeps that many in registers, and no
// more, which is most of what makes a decision fast. So the interval shares its
// word with the two small fields.
type State struct {
	packed     int64 // interval in ns << 3 | hasServed << 2 | guardKind
	next       int64 // the next slot; 0 when rotation is off
	guardStart int64 // 0 when guardKind is 0
	served     int64 // the newest slot served; 0 when !hasServed
}

const (
	guardKindMask = 3
	hasServedBit  = 1 << 2
	intervalShift = 3
)

func (s State) interval() int64 { return s.packed >> intervalShift }
func (s State) guardKind() Kind { return Kind(s.packed & guardKindMask) }
func (s State) hasServed() bool { return s.packed&hasServedBit != 0 }

func (s *State) setInterval(ns int64) {
	s.packed = ns<<intervalShift | s.packed&(hasServedBit|guardKindMask)
}

func (s *State) startGuard(at int64, by Kind) {
	s.guardStart, s.packed = at, s.packed&^guardKindMask|int64(by)
}

// serve records that slot was served (R19).
func (s *State) serve(slot int64) {
	if s.hasServed() {
		slot = max(slot, s.served)
	}
	s.served, s.packed = slot, s.packed|hasServedBit
}

// Equal reports whether s == other. go-cmp uses it.
func (s State) Equal(other State) bool { return s == other }

// Interval returns the time between two slots, 0 when automatic rotation is
// off.
func (s State) Interval() time.Duration { return time.Duration(s.interval()) }

// Next returns the next slot, in UTC: the one instant worth waking for. It is
// false when automatic rotation is off. Arm one timer for it, and apply what
// [State.Due] returns when it fires; a slot in the past is overdue and wants
// delivery at once.
func (s State) Next() (slot time.Time, ok bool) {
	if s.interval() == 0 {
		return time.Time{}, false
	}
	return fromNanos(s.next), true
}

// Due returns the event to apply when the next slot has come: [AutoSlot] of now
// and Next if Next is not after now. It is false while the slot lies ahead and
// when automatic rotation is off.
//
// Call it on the state as loaded, while you hold the card. Then a poller rotates
// once, whatever the precision of the column by which it found the card; a slot
// that comes back from a column may have been rounded, and is superseded (R13)
// if it was. An instant now after the year 2200 is due and refused by
// [Rules.Decide].
func (s State) Due(now time.Time) (Event, bool) {
	if s.interval() == 0 || fromNanos(s.next).After(now) {
		return Event{}, false
	}
	return Event{form: formAutoSlot, at: toNanos(now), extra: s.next}, true
}

// Guard returns the instant at which the guard started and the kind of event
// that started it; ok is false when none has yet. Whether an event is held
// depends on the [Rules] as well: see docs/rules.md.
func (s State) Guard() (start time.Time, by Kind, ok bool) {
	if s.guardKind() == 0 {
		return time.Time{}, 0, false
	}
	return fromNanos(s.guardStart), s.guardKind(), true
}

// Served returns the newest slot served (R19); ok is false when none has been.
func (s State) Served() (slot time.Time, ok bool) {
	if !s.hasServed() {
		return time.Time{}, false
	}
	return fromNanos(s.served), true
}

// Slots yields the next n slots of s, in order, as they would be served if
// nothing else happened; none when automatic rotation is off or n is not
// positive. It ends early at the last slot within the years 1970 to 2200.
func (s State) Slots(n int) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if s.interval() == 0 {
			return
		}
		slot := s.next
		for range n {
			if !validInstant(slot) || !yield(fromNanos(slot)) {
				return
			}
			slot += s.interval()
		}
	}
}
