package engine

import (
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/cardid"
)

// Ref names a card and the account that it must belong to. Operators, who may act
// on every card, use [AnyAccount].
type Ref struct {
	Card    string // the card's id
	Account string // the account; required

	anyAccount bool
}

// AnyAccount names a card whose account is not checked. A Ref made from the
// strings of a request is never one of these.
func AnyAccount(card string) Ref { return Ref{Card: card, anyAccount: true} }

// Equal reports whether r == other. go-cmp uses it.
func (r Ref) Equal(other Ref) bool { return r == other }

// check refuses ids that cannot be stored or written into a path, those that look
// like a PAN, and a missing account.
func (r Ref) check() error {
	if err := CheckCard(r.Card); err != nil || r.anyAccount {
		return err
	}
	if r.Account == "" {
		return &FieldError{"account", "is required"}
	}
	return fieldError("account", cardid.CheckName(r.Account))
}

// checkOwner returns an error if there is no such card, or none that r may use.
func (r Ref) checkOwner(c *store.Card) error {
	if c.Version == 0 {
		return store.ErrNotFound
	}
	if !r.anyAccount && r.Account != c.Account {
		return ErrForbidden
	}
	return nil
}

// CheckCard returns a *FieldError if id cannot be the id of a card: it must be fit
// for paths, logs and events, and therefore must not look like a PAN.
func CheckCard(id string) error { return fieldError("card", cardid.Check(id)) }

func fieldError(field string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{field, err.Error()}
}
