package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
)

// MaxCompromised is the maximum number of compromised CVVs that a card keeps. With one
// more, the oldest is forgotten, which is logged, and may be drawn again.
const MaxCompromised = 64

// avoided returns the CVVs that a rotation must not bring back: the card's compromised
// ones. A rotation because of a compromise first adds the current one, and the previous
// one if it is still accepted: the thief may have seen either.
//
// If the stored ones cannot be decrypted, only a rotation to a chosen code is an error.
func (e *Engine) avoided(ctx context.Context, c *store.Card, now time.Time, in input) ([]cvvgen.CVV, error) {
	avoid, err := e.generator.Compromised(c)
	if err != nil && unreadable(err) && !in.code.IsValid() {
		e.log.ErrorContext(ctx, "compromised CVVs cannot be decrypted; rotating without regard to them", "card", c.ID, "error", err)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("the compromised CVVs: %w", err)
	}
	if !in.compromised {
		return avoid, nil
	}
	add := []func(context.Context, *store.Card) (cvvgen.CVV, error){e.generator.Current}
	if now.Before(c.PreviousUntil) {
		add = append(add, e.generator.Previous)
	}
	for _, read := range add {
		cvv, err := read(ctx, c)
		switch {
		case err != nil && !unreadable(err): // an unreadable CVV cannot be avoided
			return nil, fmt.Errorf("the compromised CVV: %w", err)
		case err == nil && cvv.IsValid() && !slices.ContainsFunc(avoid, cvv.Equal):
			avoid = append(avoid, cvv)
		}
	}
	if forget := len(avoid) - MaxCompromised; forget > 0 {
		e.log.WarnContext(ctx, "too many compromised CVVs; forgetting the oldest, which may be drawn again", "card", c.ID, "kept", MaxCompromised)
		avoid = avoid[forget:]
	}
	if len(avoid) > 0 { // else a list that cannot be decrypted may be there, whose key returns
		e.generator.SetCompromised(c, avoid)
	}
	return avoid, nil
}

// compromisedList encrypts the compromised CVVs of cards, for a generator.
type compromisedList struct{ keys *seal.Keyring }

// Compromised implements Generator.
func (l compromisedList) Compromised(c *store.Card) ([]cvvgen.CVV, error) {
	if c.Compromised == nil {
		return nil, nil
	}
	text, err := open(l.keys, c.Compromised, compromisedContext(c))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	var cvvs []cvvgen.CVV
	for digits := range bytes.SplitSeq(text, []byte(" ")) {
		var cvv cvvgen.CVV
		if err := cvv.UnmarshalText(digits); err != nil {
			return nil, seal.ErrOpen
		}
		cvvs = append(cvvs, cvv)
	}
	return cvvs, nil
}

// SetCompromised implements Generator.
func (l compromisedList) SetCompromised(c *store.Card, cvvs []cvvgen.CVV) {
	if len(cvvs) == 0 {
		c.Compromised = nil
		return
	}
	text := make([]byte, 0, 6*MaxCompromised)
	for i, cvv := range cvvs {
		if i > 0 {
			text = append(text, ' ')
		}
		text = append(text, cvv.Reveal()...)
	}
	c.Compromised = l.keys.Seal(text, compromisedContext(c).bound)
	clear(text)
}
