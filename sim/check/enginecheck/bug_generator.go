package enginecheck

import (
	"context"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

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
