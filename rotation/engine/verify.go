package engine

import (
	"context"
	"strconv"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
)

// Verdict is the result of verifying a CVV. The zero value is no verdict.
type Verdict uint8

// The verdicts.
const (
	VerdictCurrent   Verdict = iota + 1 // the card's CVV
	VerdictPrevious                     // the previous CVV, within its grace period
	VerdictExpired                      // the previous CVV, after its grace period
	VerdictWrong                        // none of these
	VerdictLocked                       // not compared: too many failed attempts in a row locked the card
	VerdictThrottled                    // not compared: too many failed attempts within 24 hours
)

// String returns the verdict in lower case; an unknown one as Verdict(n).
func (v Verdict) String() string {
	switch v {
	case VerdictCurrent:
		return "current"
	case VerdictPrevious:
		return "previous"
	case VerdictExpired:
		return "expired"
	case VerdictWrong:
		return "wrong"
	case VerdictLocked:
		return "locked"
	case VerdictThrottled:
		return "throttled"
	}
	return "Verdict(" + strconv.Itoa(int(v)) + ")"
}

// Good reports whether a payment with such a CVV may be accepted: VerdictCurrent
// and VerdictPrevious.
func (v Verdict) Good() bool { return v == VerdictCurrent || v == VerdictPrevious }

// Verification is the result of Verify.
type Verification struct {
	Verdict Verdict
	Effect  Effect
}

// Verify compares a presented CVV with the card's. Wrong and expired ones count as
// failed attempts; MaxTries of them, however often the CVV rotates in between, lock
// the card until Unlock. The current CVV resets that count. After MaxDailyTries failed
// attempts within 24 hours, every CVV gets VerdictThrottled until enough of them are
// older; neither the current CVV nor a rotation nor Unlock resets these. Values are
// compared in constant time.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid; nothing is
// counted then.
func (e *Engine) Verify(ctx context.Context, ref Ref, presented cvvgen.CVV) (Verification, error) {
	if !presented.IsValid() {
		return Verification{}, &FieldError{"cvv", "is required: 3 to 5 digits"}
	}
	var verdict Verdict
	effect, err := e.update(ctx, ref, "", func(change *store.Change) (err error) {
		c := &change.Card
		daily, moved := dailyTries(c, change.Now)
		if verdict, err = e.compare(ctx, c, presented, change.Now, len(daily)); err != nil {
			return err
		}
		change.Write = moved
		switch verdict {
		case VerdictCurrent:
			change.Write = change.Write || c.Tries != 0
			c.Tries = 0
		case VerdictExpired, VerdictWrong:
			c.Tries++
			if c.Tries >= e.options.MaxTries {
				c.Locked = change.Now
			}
			daily = append(daily, change.Now)
			change.Write = true
		}
		if change.Write {
			setDailyTries(c, daily)
		}
		return nil
	})
	if err != nil {
		return Verification{}, err
	}
	effect.Throttled = verdict == VerdictThrottled
	e.observer.Verified(verdict)
	return Verification{verdict, effect}, nil
}

func (e *Engine) compare(ctx context.Context, c *store.Card, presented cvvgen.CVV, now time.Time, dailyTries int) (Verdict, error) {
	switch {
	case !c.Locked.IsZero():
		return VerdictLocked, nil
	case dailyTries >= e.options.MaxDailyTries:
		return VerdictThrottled, nil
	}
	current, err := e.generator.Current(ctx, c)
	if err != nil {
		return 0, err
	}
	previous, err := e.generator.Previous(ctx, c)
	if err != nil && !unreadable(err) { // an unreadable previous value matches nothing
		return 0, err
	}
	isCurrent, isPrevious := current.Matches(presented), previous.Matches(presented)
	switch {
	case isCurrent:
		return VerdictCurrent, nil
	case isPrevious && now.Before(c.PreviousUntil):
		return VerdictPrevious, nil
	case isPrevious:
		return VerdictExpired, nil
	}
	return VerdictWrong, nil
}
