package engine

import (
	"cmp"
	"context"
	"slices"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Random returns a generator of random CVVs, encrypted with the keyring: each is
// bound to its account, card and version. A nil random draws 3 digits. New refuses a
// generator without a keyring.
func Random(random *cvvgen.Random, keys *seal.Keyring) Generator {
	return &randomGenerator{compromisedList{keys}, cmp.Or(random, new(cvvgen.Random))}
}

type randomGenerator struct {
	compromisedList
	random *cvvgen.Random
}

func (g *randomGenerator) check() error {
	if !g.keys.CanSeal() {
		return &FieldError{"generator", "needs a keyring with a key"}
	}
	return nil
}

func (g *randomGenerator) Identify(_ *store.Card, p cvvgen.Card) error {
	if p.PAN.IsValid() || p.Expiry.IsValid() {
		return &FieldError{"pan", "must not be given: CVVs are random here, and what is not stored cannot leak"}
	}
	return nil
}

func (g *randomGenerator) Fingerprints(*store.Card) ([][]byte, error) { return nil, nil }

func (g *randomGenerator) SameIdentity(c *store.Card, p cvvgen.Card) (bool, error) {
	return true, g.Identify(c, p)
}

func (g *randomGenerator) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	before, err := g.Previous(ctx, c)
	if err != nil {
		before = cvvgen.CVV{} // an unreadable old value must not keep the card from getting a new one
	}
	if !code.IsValid() {
		code = servicecode.RandomAssigned(c.PreviousCode)
	}
	cvv := g.random.Next(before)
	for slices.ContainsFunc(avoid, cvv.Equal) { // 64 of 1,000 or more: it ends
		cvv = g.random.Next(before)
	}
	digits := []byte(cvv.Reveal())
	c.ServiceCode = code
	c.Sealed = g.keys.Seal(digits, cvvContext(c, c.Version).bound)
	clear(digits)
	return nil
}

func (g *randomGenerator) Current(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	if len(c.Sealed) == 0 {
		return cvvgen.CVV{}, errNoCVV
	}
	return g.open(c.Sealed, cvvContext(c, c.Version))
}

func (g *randomGenerator) Previous(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	return g.open(c.PreviousSealed, cvvContext(c, c.Version-1))
}

func (g *randomGenerator) open(sealed []byte, context sealContext) (cvvgen.CVV, error) {
	if sealed == nil {
		return cvvgen.CVV{}, nil
	}
	digits, err := open(g.keys, sealed, context)
	if err != nil {
		return cvvgen.CVV{}, err
	}
	defer clear(digits)
	var cvv cvvgen.CVV
	if err := cvv.UnmarshalText(digits); err != nil {
		return cvvgen.CVV{}, seal.ErrOpen
	}
	return cvv, nil
}

func (g *randomGenerator) Reseal(c *store.Card) (bool, error) {
	now, err := reencrypt(g.keys, &c.Sealed, cvvContext(c, c.Version))
	if err != nil {
		return false, err
	}
	before, err := reencrypt(g.keys, &c.PreviousSealed, cvvContext(c, c.Version-1))
	if err != nil {
		return false, err
	}
	compromised, err := reencrypt(g.keys, &c.Compromised, compromisedContext(c))
	return now || before || compromised, err
}
