package enginecheck

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/check"
)

// compare compares everything stored with the expected state.
func (r *run) compare() {
	r.compareEvents()
	for _, l := range r.cards {
		if r.failure == nil {
			r.compareCard(l)
		}
	}
	if r.failure == nil && !slices.Equal(r.observed, r.expected) {
		r.violate(observed, "the observer got %v, want %v", r.observed, r.expected)
	}
	r.written, r.expected, r.observed = r.written[:0], r.expected[:0], r.observed[:0]
}

func (r *run) compareEvents() {
	events := r.base.Written(r.position)
	for i, e := range events {
		if i >= len(r.written) {
			got, err := event.ParseStrict(e.Payload)
			text := describeEvent(got)
			if err != nil {
				text = string(e.Payload)
			}
			r.violate(oneEvent, "unexpected event: %s", text)
			return
		}
		want := r.written[i]
		payload := want.AppendJSON(nil)
		if e.Card != want.Card || e.Number != want.Number || !e.At.Equal(want.At) || !bytes.Equal(e.Payload, payload) {
			got, err := event.ParseStrict(e.Payload)
			rounded, _ := event.ParseStrict(payload)
			difference := describeDifference(got, rounded)
			switch {
			case err != nil || difference == "" && !bytes.Equal(e.Payload, payload): // a part that is not parsed
				difference = fmt.Sprintf("it is %s", e.Payload)
			case difference == "":
				difference = fmt.Sprintf("it is stored as %s of %s", e.ID(), describe(e.At))
			}
			r.violate(oneEvent, "event %s.%d: %s", want.Card, want.Number, difference)
			return
		}
		r.fold(payload)
	}
	if len(events) < len(r.written) {
		r.violate(oneEvent, "an event is missing: %s", describeEvent(r.written[len(events)]))
	}
	r.position += int64(len(events))
}

// compareCard compares a stored card with its expected state, and records a new CVV.
func (r *run) compareCard(l *expectedCard) {
	c, err := r.base.Card(context.Background(), l.ref.Card)
	if !l.registered {
		if err == nil {
			r.violate(stored, "%s is stored but was never registered", l.ref.Card)
		}
		return
	}
	if err != nil {
		r.violate(stored, "reading the registered card %s failed: %v", l.ref.Card, err)
		return
	}
	differ := func(field string, got, want any) {
		if got != want {
			r.violate(stored, "%s of %s is %s, want %s", field, l.ref.Card, describe(got), describe(want))
		}
	}
	differ("the version", c.Version, l.version)
	differ("the number of events", c.Events, l.events)
	differ("the state", viewOf(c.State), check.ViewOfModel(l.state).String())
	differ("the next slot", c.Next, l.state.Next.Time)
	differ("the interval", c.Interval, l.state.Interval)
	differ("the due time", c.Due, l.due)
	differ("the number of failures", c.Failures, l.failures)
	differ("the failure mark", c.Failure != "", l.failures > 0)
	differ("the account", c.Account, l.ref.Account)
	differ("the creation", c.Created, l.created)
	differ("the rotation", c.Rotated, l.rotated)
	differ("the end of the grace", c.PreviousUntil, l.previousUntil)
	differ("the number of tries", c.Tries, l.tries)
	differ("the lock", c.Locked, l.locked)
	if !c.First.Equal(l.accepted.First) || c.Spread != l.accepted.Spread {
		r.violate(settingsAgain, "the settings kept of %s have the first slot %s, spread %v, want %s, %v",
			l.ref.Card, describe(c.First), c.Spread, describe(l.accepted.First), l.accepted.Spread)
	}
	var failedAt []byte
	for _, at := range l.failedAt {
		failedAt = binary.BigEndian.AppendUint64(failedAt, uint64(at.UnixNano()))
	}
	if !bytes.Equal(c.FailedAt, failedAt) {
		r.violate(dailyLimit, "%s stores the failed attempts %x, want %x", l.ref.Card, c.FailedAt, failedAt)
	}
	if r.failure == nil {
		r.compareCVV(l, &c)
	}
}

func (r *run) compareCVV(l *expectedCard, c *store.Card) {
	g := r.generator
	cvv, err := g.Current(r.ctx, c)
	if err != nil || !cvv.IsValid() {
		r.violate(fresh, "the CVV of %s cannot be decrypted: %v", l.ref.Card, err)
		return
	}
	if int64(len(l.cvvs)) == l.version {
		if !cvv.Equal(l.current()) || c.ServiceCode != l.code {
			r.violate(fresh, "the CVV or service code of %s changed within version %d", l.ref.Card, l.version)
		}
		return
	}
	if cvv.Equal(l.current()) {
		r.violate(fresh, "version %d of %s has the CVV of the previous version", l.version, l.ref.Card)
	}
	if slices.ContainsFunc(l.spent, cvv.Equal) {
		r.violate(spent, "version %d of %s has a compromised CVV", l.version, l.ref.Card)
	}
	if l.chosen.IsValid() && c.ServiceCode != l.chosen {
		r.violate(fresh, "%s has the service code %v, but %v was requested", l.ref.Card, c.ServiceCode, l.chosen)
	}
	if l.version > 1 {
		before, err := g.Previous(r.ctx, c)
		if err != nil || !before.Equal(l.current()) || c.PreviousCode != l.code {
			r.violate(fresh, "%s does not store the previous CVV of version %d; reading it: %s", l.ref.Card, l.version, describeError(err))
		}
	}
	l.cvvs = append(l.cvvs, cvv)
	l.code, l.chosen = c.ServiceCode, servicecode.Code{}
}

func viewOf(state []byte) string {
	var s rotation.State
	if len(state) > 0 {
		if err := s.UnmarshalBinary(state); err != nil {
			return err.Error()
		}
	}
	return check.ViewOf(s).String()
}
