package engine

import (
	"context"
	"fmt"
	"slices"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/arguments"
	"cvvrotation/servicecode"
)

// Derived returns a generator of CVVs that are computed from PAN, expiry and
// service code. It stores no CVV, only the service code; PAN and expiry are
// encrypted with the keyring, bound to their account and card. The options say which
// PANs an account registers: none by default. New refuses a generator without a deriver
// or a keyring, and options that fail their Check.
func Derived(deriver cvvgen.Deriver, keys *seal.Keyring, options DerivedOptions) Generator {
	return &derivedGenerator{compromisedList{keys}, deriver, options}
}

type derivedGenerator struct {
	compromisedList
	deriver cvvgen.Deriver
	options DerivedOptions
}

func (g *derivedGenerator) check() error {
	if arguments.Missing(g.deriver) || !g.keys.CanSeal() {
		return &FieldError{"generator", "needs a deriver and a keyring with a key"}
	}
	return g.options.Check()
}

func (g *derivedGenerator) Identify(c *store.Card, p cvvgen.Card) error {
	if !p.PAN.IsValid() {
		return &FieldError{"pan", "is required: CVVs are derived from it here"}
	}
	expiry, err := p.Expiry.Digits(cvvgen.ExpiryOrderYYMM)
	if err != nil {
		return &FieldError{"expiry", "is required: CVVs are derived from it here"}
	}
	if err := g.options.checkPAN(c.Account, p.PAN); err != nil {
		return err
	}
	plain := []byte(expiry + p.PAN.Reveal())
	c.Identity = g.keys.Seal(plain, identityContext(c).bound)
	clear(plain)
	return nil
}

func (g *derivedGenerator) Fingerprints(c *store.Card) ([][]byte, error) {
	plain, err := open(g.keys, c.Identity, identityContext(c))
	if err != nil {
		return nil, fmt.Errorf("the card's particulars: %w", err)
	}
	defer clear(plain)
	return g.keys.Fingerprints(plain), nil
}

func (g *derivedGenerator) SameIdentity(c *store.Card, p cvvgen.Card) (bool, error) {
	if !p.PAN.IsValid() && !p.Expiry.IsValid() {
		return true, nil // nothing is claimed
	}
	known, err := g.identity(c)
	if err != nil {
		return false, err
	}
	return known.PAN.Equal(p.PAN) && known.Expiry == p.Expiry, nil
}

func (g *derivedGenerator) identity(c *store.Card) (cvvgen.Card, error) {
	plain, err := open(g.keys, c.Identity, identityContext(c))
	if err != nil {
		return cvvgen.Card{}, fmt.Errorf("the card's particulars: %w", err)
	}
	defer clear(plain)
	if len(plain) < 4 {
		return cvvgen.Card{}, seal.ErrOpen
	}
	expiry, err := cvvgen.ParseExpiry(cvvgen.ExpiryOrderYYMM, string(plain[:4]))
	if err != nil {
		return cvvgen.Card{}, seal.ErrOpen
	}
	pan, err := cvvgen.ParsePAN(string(plain[4:]))
	if err != nil {
		return cvvgen.Card{}, seal.ErrOpen
	}
	return cvvgen.Card{PAN: pan, Expiry: expiry}, nil
}

func (g *derivedGenerator) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	card, err := g.identity(c)
	if err != nil {
		return err
	}
	if !code.IsValid() {
		return g.drawCode(ctx, c, card, avoid)
	}
	if err := g.options.checkCode(code); err != nil {
		return err
	}
	if len(avoid) >= MaxCompromised {
		return &FieldError{"service_code", fmt.Sprintf("must not be given: the card has %d compromised CVVs, and older ones are forgotten", MaxCompromised)}
	}
	if !c.PreviousCode.IsValid() { // a new card
		c.ServiceCode = code
		return nil
	}
	r, err := cvvgen.RotateTo(ctx, g.deriver, card, c.PreviousCode, code)
	if err != nil {
		return err
	}
	if r.SameCVV || slices.ContainsFunc(avoid, r.CVV.Equal) {
		return &FieldError{"service_code", "gives the CVV that is to be replaced, or one that was compromised: choose another, or none"}
	}
	c.ServiceCode = r.ServiceCode
	return nil
}

// maxDraws bounds the draws of a service code. Some 10 % of the codes give one of 64
// compromised CVVs of 3 digits, so that this many in a row mean a broken Deriver.
const maxDraws = 64

// drawCode sets a random service code that gives none of the CVVs in avoid.
func (g *derivedGenerator) drawCode(ctx context.Context, c *store.Card, card cvvgen.Card, avoid []cvvgen.CVV) error {
	for range maxDraws {
		r, err := cvvgen.Rotate(ctx, g.deriver, card, c.PreviousCode)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(avoid, r.CVV.Equal) {
			c.ServiceCode = r.ServiceCode
			return nil
		}
	}
	return fmt.Errorf("%d service codes in a row give a compromised CVV: the deriver is broken", maxDraws)
}

func (g *derivedGenerator) Current(ctx context.Context, c *store.Card) (cvvgen.CVV, error) {
	if !c.ServiceCode.IsValid() {
		return cvvgen.CVV{}, errNoCVV
	}
	return g.derive(ctx, c, c.ServiceCode)
}

func (g *derivedGenerator) Previous(ctx context.Context, c *store.Card) (cvvgen.CVV, error) {
	return g.derive(ctx, c, c.PreviousCode)
}

func (g *derivedGenerator) derive(ctx context.Context, c *store.Card, code servicecode.Code) (cvvgen.CVV, error) {
	if !code.IsValid() {
		return cvvgen.CVV{}, nil
	}
	card, err := g.identity(c)
	if err != nil {
		return cvvgen.CVV{}, err
	}
	return g.deriver.Derive(ctx, card, code)
}

func (g *derivedGenerator) Reseal(c *store.Card) (bool, error) {
	identity, err := reencrypt(g.keys, &c.Identity, identityContext(c))
	if err != nil {
		return false, err
	}
	compromised, err := reencrypt(g.keys, &c.Compromised, compromisedContext(c))
	return identity || compromised, err
}
