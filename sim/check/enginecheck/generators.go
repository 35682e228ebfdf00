package enginecheck

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// deriver derives the CVVs of runs with derived CVVs.
var deriver = mustDeriver()

// generator returns the generator of a replica with these keys.
func (o options) generator(keys *seal.Keyring) engine.Generator {
	if o.derived {
		return engine.Derived(deriver, keys)
	}
	return engine.Random(new(cvvgen.Random), keys)
}

func mustDeriver() *cvvgen.Local {
	pair, _ := hex.DecodeString("0123456789abcdeffedcba9876543210") // published, of no card
	cvk, err := cvvgen.NewInsecureTestCVK(pair)
	if err == nil {
		var d *cvvgen.Local
		if d, err = cvvgen.NewLocal(cvk, cvvgen.ExpiryOrderYYMM, 3); err == nil {
			return d
		}
	}
	panic(err)
}

// particulars returns what CVVs of card number i are derived from.
func particulars(i int) cvvgen.Card {
	pan, _ := cvvgen.ParsePAN(fmt.Sprintf("411111111111%04d", i)) // a test range
	expiry, _ := cvvgen.NewExpiry(2029, time.November)
	return cvvgen.Card{PAN: pan, Expiry: expiry}
}

// failing is a generator that fails for some cards.
type failing struct {
	engine.Generator
	r *run
}

// Draw implements engine.Generator.
func (f failing) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	if !f.r.poisoned[c.ID] {
		return f.Generator.Draw(ctx, c, code)
	}
	if f.r.claiming && c.Version%2 == 0 {
		panic("the generator panics")
	}
	return errDraw
}

// comesBack is a generator that draws the replaced CVV every seventh time.
type comesBack struct{ engine.Generator }

// Draw implements engine.Generator.
func (g comesBack) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	if c.Version%7 != 0 {
		return g.Generator.Draw(ctx, c, code)
	}
	before, err := g.Previous(ctx, c)
	for err == nil {
		hidden := *c // so that the generator does not avoid it
		hidden.PreviousSealed, hidden.PreviousCode = nil, servicecode.Code{}
		if err = g.Generator.Draw(ctx, &hidden, servicecode.Code{}); err != nil {
			break
		}
		var now cvvgen.CVV
		if now, err = g.Current(ctx, &hidden); err == nil && now.Equal(before) {
			c.ServiceCode, c.Sealed = hidden.ServiceCode, hidden.Sealed
			return nil
		}
	}
	return err
}

// forgets is a generator that does not re-encrypt the previous CVV.
type forgets struct{ engine.Generator }

// Reseal implements engine.Generator.
func (g forgets) Reseal(c *store.Card) (bool, error) {
	before := c.PreviousSealed
	changed, err := g.Generator.Reseal(c)
	c.PreviousSealed = before
	return changed, err
}
