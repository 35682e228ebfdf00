package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Generator makes the CVVs of cards and reads them back. It must be safe for
// concurrent use. Its methods run inside transactions: one that calls another
// machine blocks the card meanwhile, and with SQLite all cards.
type Generator interface {
	// Identify stores in the card what the generator needs of its PAN and
	// expiry. The error matches ErrInvalid if it needs other particulars.
	Identify(c *store.Card, particulars cvvgen.Card) error
	// SameIdentity reports whether the card was registered with these
	// particulars.
	SameIdentity(c *store.Card, particulars cvvgen.Card) (bool, error)
	// Draw makes a new CVV, which differs from the previous one, and sets the
	// card's ServiceCode and Sealed. The card's Version is already that of the
	// new CVV, and its Previous fields hold the previous one, if there is one.
	// The zero code asks for a random one. The error matches ErrInvalid if the
	// given code is the reason.
	Draw(ctx context.Context, c *store.Card, code servicecode.Code) error
	// Current returns the current CVV.
	Current(ctx context.Context, c *store.Card) (cvvgen.CVV, error)
	// Previous returns the previous CVV; the zero CVV if there is none.
	Previous(ctx context.Context, c *store.Card) (cvvgen.CVV, error)
	// Reseal re-encrypts what is not encrypted with the current key, and
	// reports whether there was anything.
	Reseal(c *store.Card) (bool, error)
}

// cvvContext binds an encrypted CVV to its card and version, and to being a CVV.
func cvvContext(id string, version int64) []byte {
	b := make([]byte, 0, 4+8+store.MaxID)
	b = append(b, "cvv\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	return append(b, id...)
}

// identityContext binds encrypted particulars to their card.
func identityContext(id string) []byte { return append([]byte("pan\x00"), id...) }

// unreadable reports whether the error is of decrypting.
func unreadable(err error) bool {
	return errors.Is(err, seal.ErrOpen) || errors.Is(err, seal.ErrUnknownKey)
}

// Random returns a generator of random CVVs, encrypted with the keyring: each is
// bound to its card and version. A nil random draws 3 digits. New refuses a
// generator without a keyring.
func Random(random *cvvgen.Random, keys *seal.Keyring) Generator {
	return &randomGenerator{cmp.Or(random, new(cvvgen.Random)), keys}
}

type randomGenerator struct {
	random *cvvgen.Random
	keys   *seal.Keyring
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

func (g *randomGenerator) SameIdentity(c *store.Card, p cvvgen.Card) (bool, error) {
	return true, g.Identify(c, p)
}

func (g *randomGenerator) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	before, err := g.Previous(ctx, c)
	if err != nil {
		before = cvvgen.CVV{} // an unreadable old value must not keep the card from getting a new one
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

func (g *randomGenerator) Current(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	return g.open(c.Sealed, c.ID, c.Version)
}

func (g *randomGenerator) Previous(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	return g.open(c.PreviousSealed, c.ID, c.Version-1)
}

func (g *randomGenerator) open(sealed []byte, id string, version int64) (cvvgen.CVV, error) {
	if sealed == nil {
		return cvvgen.CVV{}, nil
	}
	digits, err := g.keys.Open(sealed, cvvContext(id, version))
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
	now, err := reencrypt(g.keys, &c.Sealed, cvvContext(c.ID, c.Version))
	if err != nil {
		return false, err
	}
	before, err := reencrypt(g.keys, &c.PreviousSealed, cvvContext(c.ID, c.Version-1))
	return now || before, err
}
