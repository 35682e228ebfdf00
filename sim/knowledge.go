package sim

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// parts is a set of the parts of a state.
type parts uint8

const (
	partInterval parts = 1 << iota
	partNext
	partGuard
	partServed

	allParts = partInterval | partNext | partGuard | partServed
)

// knowledge is what the records so far say of a card's state. The zero value is
// nothing.
type knowledge struct {
	knows      parts
	interval   time.Duration // 0: rotation is off
	next       time.Time     // zero: none
	guardStart time.Time
	guardBy    rotation.Kind // 0: no guard
	served     time.Time     // the newest slot served, or while partServed is not known, the newest that is known; zero: none

	// latest is the latest instant in the log so far. since is its value when the
	// served slots became unknown: without partServed, no slot after since can have
	// been served before, because no clock was ahead of the log.
	latest, since time.Time

	inferred bool // the interval is known, but no record and no event named it

	whole   rotation.State // the state that has these parts
	isWhole bool           // whole is set: at most the slots served are not known
}

// middle is what is known of a card whose log begins, or continues, in the middle.
// No clock has been later.
func middle(latest time.Time) knowledge { return knowledge{latest: latest, since: latest} }

// beginning is what is known of a card that nothing has happened to.
var beginning = knowledge{knows: allParts, isWhole: true}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// state returns the state that has the parts of k; parts that are not known are not
// set. There is none if an instant or the interval is out of range. It builds the
// binary form, the fastest way to a state that no events led to.
func (k knowledge) state() (rotation.State, error) {
	b := make([]byte, 0, 64)
	b = append(b, 1, byte(k.guardBy)) // the version, and which fields follow
	at := func(t time.Time) {
		ns := int64(-1) // the decoder refuses it
		if t.Year() >= 1970 && t.Year() < 2262 {
			ns = t.UnixNano()
		}
		b = binary.BigEndian.AppendUint64(b, uint64(ns))
	}
	if k.interval != 0 {
		b[1] |= 1 << 2
		b = binary.BigEndian.AppendUint64(b, uint64(k.interval))
		at(k.next)
	}
	if k.guardBy != 0 {
		at(k.guardStart)
	}
	if !k.served.IsZero() {
		b[1] |= 1 << 3
		at(k.served)
	}
	var s rotation.State
	err := s.UnmarshalBinary(binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
	return s, err
}

// knowledgeOf returns the parts of a state, all of them known.
func knowledgeOf(s rotation.State) knowledge {
	k := knowledge{knows: allParts, interval: s.Interval()}
	k.next, _ = s.Next()
	k.guardStart, k.guardBy, _ = s.Guard()
	k.served, _ = s.Served()
	return k
}

// refresh sets the parts to those of the whole state, which is kept alone while
// every record agrees.
func (k *knowledge) refresh() {
	if !k.isWhole {
		return
	}
	now := knowledgeOf(k.whole)
	now.knows, now.latest, now.since, now.inferred, now.whole, now.isWhole = k.knows, k.latest, k.since, k.inferred, k.whole, true
	if k.knows&partServed == 0 {
		now.served = k.served
	}
	*k = now
}

// complete reports whether the decision on e follows from what is known. The served
// slots matter only if e names a slot other than the next one (R12).
func (k knowledge) complete(e timeline.Entry) bool {
	need := allParts
	if slot, named := e.Event.Slot(); !named || slot.Equal(k.next) || !slot.After(k.served) || slot.After(k.since) {
		need &^= partServed
	}
	return k.knows&need == need
}

// candidate is a state that a card may be in.
type candidate struct {
	state rotation.State
	any   parts // parts with a value that is one of many
}

// candidates yields states that k allows, one for each way in which the rules can
// make what e records: whatever state the card is in, one of them leads to the
// same record. A part that is known has its value. For the others the record
// gives those that matter: by R3 and R7 the interval is next - t, by R5 and R6
// it is (next - slot) / (missed + 1), and where nothing depends on a part, any value
// will do.
func (k knowledge) candidates(rules rotation.Rules, e timeline.Entry) func(yield func(candidate) bool) {
	at, x := e.Event.At(), e.Expect
	slot, named := e.Event.Slot()
	missed := time.Duration(min(max(0, x.Missed), 1<<40)) // 0 where it is not recorded
	hasNext := x.Fields&timeline.FieldNext != 0 && !x.Next.IsZero()
	long := min(rotation.MaxInterval, at.Sub(time.Unix(0, 0))/(missed+2)) // an interval that misses so many after 1970
	mayMiss := x.Fields&timeline.FieldMissed == 0                         // and then the slots missed are not known

	type interval struct {
		value time.Duration
		any   bool
	}
	intervals := func(yield func(interval) bool) {
		if k.knows&partInterval != 0 {
			yield(interval{k.interval, false})
			return
		}
		list := []interval{{0, false}}
		from := slot
		if k.knows&partNext != 0 {
			if from = k.next; !from.IsZero() { // rotation is on
				list[0] = interval{long, true}
			}
		}
		switch {
		case x.Fields&timeline.FieldInterval != 0:
			list = append(list, interval{x.Interval, false})
		case e.Event.Kind() == rotation.KindSetInterval:
			list = append(list, interval{e.Event.Interval(), false})
		case hasNext:
			if !from.IsZero() && from.Before(x.Next) {
				// So late that slots may have been missed, it is one of many.
				list = append(list, interval{x.Next.Sub(from) / (missed + 1), mayMiss && at.Sub(from) >= x.Next.Sub(from)/2})
			}
			if x.Next.After(at) {
				// R3 and R7; by R5 and R6 any interval that is as long explains it.
				known := e.Event.Kind() == rotation.KindForced || k.knows&partNext != 0 && k.next.After(at)
				list = append(list, interval{x.Next.Sub(at), !known})
			}
			list = append(list, interval{long, true}) // R2, and what keeps the schedule
		default:
			if missed > 0 && from.Before(at) {
				list = append(list, interval{at.Sub(from) / missed, true})
			}
			list = append(list, interval{long, true})
		}
		for n, i := range list {
			same := func(other interval) bool { return other.value == i.value }
			if !slices.ContainsFunc(list[:n], same) && !yield(i) {
				return
			}
		}
	}

	type nextSlot struct {
		at  time.Time
		any parts
	}
	// nexts returns slots before the event, of a card with the interval.
	nexts := func(interval time.Duration) (found []nextSlot) {
		switch {
		case k.knows&partNext != 0:
			return []nextSlot{{k.next, 0}}
		case interval == 0:
			return []nextSlot{{}}
		}
		add := func(t time.Time, anyNext parts) {
			if t.After(k.latest.Add(interval)) { // R18: no clock was ahead of the log
				return
			}
			if i := slices.IndexFunc(found, func(s nextSlot) bool { return s.at.Equal(t) }); i >= 0 {
				found[i].any = anyNext
				return
			}
			found = append(found, nextSlot{t, anyNext})
		}
		add(at.Add(min(interval, time.Hour)), partNext)
		add(at.Add(-missed*interval), partNext)
		if hasNext {
			add(x.Next.Add(-(missed+1)*interval), 0)
			add(x.Next, 0)
		}
		if named {
			add(slot, 0)
		}
		if first, ok := e.Event.First(); ok {
			add(first, 0) // R9
		}
		return found
	}

	return func(yield func(candidate) bool) {
		if k.isWhole && k.complete(e) {
			yield(candidate{state: k.whole})
			return
		}
		for i := range intervals {
			for _, next := range nexts(i.value) {
				for _, guard := range k.guards(rules, at) {
					for _, served := range k.servedSlots(slot, named) {
						s := knowledge{interval: i.value, next: next.at, guardBy: guard.guardBy, guardStart: guard.guardStart, served: served}
						state, err := s.state()
						if err != nil {
							continue
						}
						c := candidate{state, next.any}
						if i.any {
							c.any |= partInterval
						}
						if k.knows&partGuard == 0 {
							c.any |= partGuard
						}
						if !yield(c) {
							return
						}
					}
				}
			}
		}
	}
}

// guards returns what may hold an event at the instant: what is known, or nothing
// and each kind.
func (k knowledge) guards(rules rotation.Rules, at time.Time) []knowledge {
	if k.knows&partGuard != 0 {
		return []knowledge{k}
	}
	return []knowledge{
		{},
		{guardBy: rotation.KindForced, guardStart: at},
		{guardBy: rotation.KindAuto, guardStart: at},
		{guardBy: rotation.KindSetInterval, guardStart: at},
	}
}

// servedSlots returns the newest slots that may have been served.
func (k knowledge) servedSlots(slot time.Time, named bool) []time.Time {
	if k.knows&partServed != 0 || !named || !slot.After(k.served) || slot.After(k.since) {
		return []time.Time{k.served}
	}
	return []time.Time{k.served, slot}
}

// after returns what is known after e, which any of the outcomes explains: the
// parts in which they agree.
func (k knowledge) after(possible []outcome, e timeline.Entry) knowledge {
	known := k.afterOne(possible[0], e)
	for _, o := range possible[1:] {
		s := k.afterOne(o, e)
		known.knows &= s.knows
		if s.interval != known.interval {
			known.knows &^= partInterval
		}
		if !s.next.Equal(known.next) {
			known.knows &^= partNext
		}
		if s.guardBy != known.guardBy || !s.guardStart.Equal(known.guardStart) {
			known.knows &^= partGuard
		}
		if !s.served.Equal(known.served) {
			known.knows &^= partServed
			known.since = known.latest
			if s.served.Before(known.served) {
				known.served = s.served
			}
		}
		if s.since.After(known.since) {
			known.since = s.since
		}
	}
	known = known.named(k, e)
	if len(possible) == 1 && known.knows|partServed == allParts {
		known.whole, known.isWhole = possible[0].after, true
	}
	return known
}

// afterOne returns what is known after e if the outcome is o.
func (k knowledge) afterOne(o outcome, e timeline.Entry) knowledge {
	s, before := knowledgeOf(o.after), knowledgeOf(o.before)
	s.inferred, s.latest, s.since = k.inferred, k.latest, k.since
	s.knows &^= o.any & partGuard
	sets := e.Event.Kind() == rotation.KindSetInterval
	if s.interval == before.interval && !sets {
		s.knows &^= o.any & partInterval
	}
	if e.Expect.Fields&timeline.FieldNext == 0 && s.interval != 0 {
		moved := !s.next.Equal(before.next)
		if !moved && o.any&partNext != 0 || moved && !sets && o.any&(partInterval|partNext) != 0 {
			s.knows &^= partNext
		}
	}

	serves := e.Event.Kind() == rotation.KindAuto && o.decision.Rotate()
	arbitrary := serves && o.any&(partInterval|partNext) != 0             // any slot up to now may be the one that was served
	newest := o.decision.Rule == rotation.R5 && !s.served.Before(k.since) // by R19
	if arbitrary || k.knows&partServed == 0 && !newest {
		s.knows &^= partServed
		s.served = k.served
		if slot, named := e.Event.Slot(); named && serves && slot.After(s.served) {
			s.served = slot
		}
		if arbitrary {
			s.since = s.latest
		}
	}
	return s
}

// named says whether the interval, if it is known, was inferred, and removes the
// values of parts that are not known.
func (k knowledge) named(before knowledge, e timeline.Entry) knowledge {
	switch {
	case k.knows&partInterval == 0:
		k.interval, k.inferred = 0, false
	case e.Event.Kind() == rotation.KindSetInterval, e.Expect.Fields&timeline.FieldInterval != 0, k.interval == 0:
		k.inferred = false
	case before.knows&partInterval == 0:
		k.inferred = true
	}
	if k.knows&partNext == 0 {
		k.next = time.Time{}
	}
	if k.knows&partGuard == 0 {
		k.guardStart, k.guardBy = time.Time{}, 0
	}
	return k
}

// adopt continues after an entry that differs from what it records: the rules'
// outcome o with the recorded parts in their place. By the record, e restarted the
// guard or did not.
func (k *card) adopt(o outcome, e timeline.Entry, restarted bool) {
	x, doubted := e.Expect, k.inferred
	before := k.knowledge
	now := knowledgeOf(o.after)
	now.knows, now.latest, now.since = before.knows|partGuard, before.latest, before.since
	if e.Event.Kind() == rotation.KindSetInterval || e.Event.Kind() == rotation.KindDisable {
		now.knows |= partInterval | partNext
	}
	now.served, _ = o.after.Served()
	if slot, named := e.Event.Slot(); named && x.Rotate && slot.After(now.served) {
		now.served = slot
	}
	if x.Fields&timeline.FieldInterval != 0 {
		now.interval, now.knows = x.Interval, now.knows|partInterval
	}
	if x.Fields&timeline.FieldNext != 0 {
		if now.next, now.knows = x.Next, now.knows|partNext; x.Next.IsZero() != (now.interval == 0) {
			now.knows &^= partInterval
		}
	}
	if x.Fields&timeline.FieldNext == 0 && len(x.Differences(timeline.Expected(o.decision, o.after))) > 0 {
		now.knows &^= partNext // the card did something else, and does not say what it made of the schedule
	}
	if now.guardStart, now.guardBy = before.guardStart, before.guardBy; restarted {
		now.guardStart, now.guardBy = e.Event.At(), e.Event.Kind()
	} else {
		now.knows &^= partGuard &^ before.knows
	}
	if doubted {
		now.knows &^= partInterval
	}
	now.inferred = false
	k.knowledge = now.named(before, e)
	if k.knows|partServed == allParts {
		if whole, err := k.state(); err == nil {
			k.whole, k.isWhole = whole, true
		}
	}
}
