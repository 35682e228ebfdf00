package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Generator makes the CVVs of cards and reads them back. It must be safe for
// concurrent use. Its methods run inside transactions: one that asks another
// machine holds up the card, and with SQLite everything.
type Generator interface {
	// Identify sets what the generator has to know of a card, from its PAN
	// and expiry. The error matches ErrInvalid when it wants other
	// particulars.
	Identify(c *store.Card, particulars cvvgen.Card) error
	// SameIdentity reports whether the card was registered with these
	// particulars.
	SameIdentity(c *store.Card, particulars cvvgen.Card) (bool, error)
	// Draw makes a new CVV, other than the one before, and sets the card's
	// ServiceCode and Sealed. The card's Version is already that of the new
	// CVV, and its Previous fields hold the one before, if there is one. The zero code
	// asks for a random one. The error matches ErrInvalid when the code
	// given is the reason.
	Draw(ctx context.Context, c *store.Card, code servicecode.Code) error
	// Open returns the current CVV, or the one before; the zero CVV when
	// there is none.
	Open(ctx context.Context, c *store.Card, previous bool) (cvvgen.CVV, error)
	// Reseal seals anew what is not sealed with the current key, and reports
	// whether there was anything.
	Reseal(c *store.Card) (bool, error)
}

// Random returns a generator of random CVVs, sealed with the keyring: each is
// bound to its card and version.
func Random(random *cvvgen.Random, keys *seal.Keyring) Generator {
	return &randomGenerator{random, keys}
}

// Derived returns a generator of CVVs that are computed from PAN, expiry and
// service code. No CVV is stored, only the service code; PAN and expiry are
// sealed with the keyring, bound to their card.
func Derived(deriver cvvgen.Deriver, keys *seal.Keyring) Generator {
	return &derivedGenerator{deriver, keys}
}

type randomGenerator struct {
	random *cvvgen.Random
	keys   *seal.Keyring
}

func (g *randomGenerator) Identify(_ *store.Card, p cvvgen.Card) error {
	if p.PAN.IsValid() || p.Expiry.IsValid() {
		return &FieldError{"pan", "must not be given: CVVs are random here, and what is not stored cannot leak"}
	}
	return nil
}

func (g *randomGenerator) SameIdentity(c *store.Card, p cvvgen.Card) (bool, error) {
	return true, g.Identify(c, p)
}

func (g *randomGenerator) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	before, err := g.Open(ctx, c, true)
	if err != nil {
		before = cvvgen.CVV{} // an old value that can't be read must not keep the card from getting a new one
	}
	if !code.IsValid() {
		code = servicecode.RandomAssigned(c.PreviousCode)
	}
	digits := []byte(g.random.Next(before).Reveal())
	c.ServiceCode = code
	c.Sealed = g.keys.Seal(digits, cvvContext(c.ID, c.Version))
	clear(digits)
	return nil
}

func (g *randomGenerator) Open(_ context.Context, c *store.Card, previous bool) (cvvgen.CVV, error) {
	sealed, version := c.Sealed, c.Version
	if previous {
		sealed, version = c.PreviousSealed, c.Version-1
	}
	if sealed == nil {
		return cvvgen.CVV{}, nil
	}
	digits, err := g.keys.Open(sealed, cvvContext(c.ID, version))
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
	now, err := reseal(g.keys, &c.Sealed, cvvContext(c.ID, c.Version))
	if err != nil {
		return false, err
	}
	before, err := reseal(g.keys, &c.PreviousSealed, cvvContext(c.ID, c.Version-1))
	return now || before, err
}

type derivedGenerator struct {
	deriver cvvgen.Deriver
	keys    *seal.Keyring
}

func (g *derivedGenerator) Identify(c *store.Card, p cvvgen.Card) error {
	if !p.PAN.IsValid() {
		return &FieldError{"pan", "is required: CVVs are derived from it here"}
	}
	expiry, err := p.Expiry.Digits(cvvgen.YYMM)
	if err != nil {
		return &FieldError{"expiry", "is required: CVVs are derived from it here"}
	}
	plain := []byte(expiry + p.PAN.Reveal())
	c.Identity = g.keys.Seal(plain, identityContext(c.ID))
	clear(plain)
	return nil
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
	plain, err := g.keys.Open(c.Identity, identityContext(c.ID))
	if err != nil {
		return cvvgen.Card{}, fmt.Errorf("the card's particulars: %w", err)
	}
	defer clear(plain)
	if len(plain) < 4 {
		return cvvgen.Card{}, seal.ErrOpen
	}
	expiry, err := cvvgen.ParseExpiry(cvvgen.YYMM, string(plain[:4]))
	if err != nil {
		return cvvgen.Card{}, seal.ErrOpen
	}
	pan, err := cvvgen.ParsePAN(string(plain[4:]))
	if err != nil {
		return cvvgen.Card{}, seal.ErrOpen
	}
	return cvvgen.Card{PAN: pan, Expiry: expiry}, nil
}

func (g *derivedGenerator) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	card, err := g.identity(c)
	if err != nil {
		return err
	}
	if !code.IsValid() {
		r, err := cvvgen.Rotate(ctx, g.deriver, card, c.PreviousCode)
		c.ServiceCode = r.ServiceCode
		return err
	}
	if !c.PreviousCode.IsValid() { // a new card
		c.ServiceCode = code
		return nil
	}
	r, err := cvvgen.RotateTo(ctx, g.deriver, card, c.PreviousCode, code)
	if err != nil {
		return err
	}
	if r.SameCVV {
		return &FieldError{"service_code", "gives the CVV that is to be replaced: choose another, or none"}
	}
	c.ServiceCode = r.ServiceCode
	return nil
}

func (g *derivedGenerator) Open(ctx context.Context, c *store.Card, previous bool) (cvvgen.CVV, error) {
	code := c.ServiceCode
	if previous {
		code = c.PreviousCode
	}
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
	return reseal(g.keys, &c.Identity, identityContext(c.ID))
}

func reseal(keys *seal.Keyring, sealed *[]byte, context []byte) (bool, error) {
	if *sealed == nil || keys.Current(*sealed) {
		return false, nil
	}
	plain, err := keys.Open(*sealed, context)
	if err != nil {
		return false, err
	}
	*sealed = keys.Seal(plain, context)
	clear(plain)
	return true, nil
}

// cvvContext binds a sealed CVV to its card and version, and to being a CVV.
func cvvContext(id string, version int64) []byte {
	b := make([]byte, 0, 4+8+store.MaxID)
	b = append(b, "cvv\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	return append(b, id...)
}

// identityContext binds sealed particulars to their card.
func identityContext(id string) []byte { return append([]byte("pan\x00"), id...) }

// describe returns an error's text for a card's record. It is cut to what a row
// should hold.
func describe(err error) string {
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return text
}

// unreadable reports whether the error is about something sealed.
func unreadable(err error) bool {
	return errors.Is(err, seal.ErrOpen) || errors.Is(err, seal.ErrUnknownKey)
}
