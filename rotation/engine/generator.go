package engine

import (
	"context"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Generator makes the CVVs of cards and reads them back. It must be safe for
// concurrent use. Its methods run inside transactions: one that calls another
// machine blocks the card meanwhile, and with SQLite all cards.
type Generator interface {
	// Identify stores in the card what the generator needs of its PAN and
	// expiry. The error matches ErrInvalid if it needs other particulars, or if
	// the card's account may not register these.
	Identify(c *store.Card, particulars cvvgen.Card) error
	// Fingerprints returns keyed hashes of what the card's CVVs are derived from,
	// one for each key, the current key's first. Cards with the same PAN and
	// expiry have the same ones. It returns nil where CVVs are random.
	Fingerprints(c *store.Card) ([][]byte, error)
	// SameIdentity reports whether the card was registered with these
	// particulars.
	SameIdentity(c *store.Card, particulars cvvgen.Card) (bool, error)
	// Draw makes a new CVV, which differs from the previous one and from all in
	// avoid, and sets the card's ServiceCode and Sealed. The card's Version is
	// already that of the new CVV, and its Previous fields hold the previous one,
	// if there is one. The zero code asks for a random one. The error matches
	// ErrInvalid if the given code is the reason.
	Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error
	// Current returns the current CVV, never the zero CVV without an error.
	Current(ctx context.Context, c *store.Card) (cvvgen.CVV, error)
	// Previous returns the previous CVV; the zero CVV if there is none.
	Previous(ctx context.Context, c *store.Card) (cvvgen.CVV, error)
	// Compromised returns the CVVs that were stored in the card's Compromised,
	// the oldest first.
	Compromised(c *store.Card) ([]cvvgen.CVV, error)
	// SetCompromised encrypts the CVVs, up to MaxCompromised, and stores them in
	// the card's Compromised.
	SetCompromised(c *store.Card, cvvs []cvvgen.CVV)
	// Reseal re-encrypts what is not encrypted with the current key, or not bound
	// to the card's account, and reports whether there was anything.
	Reseal(c *store.Card) (bool, error)
}
