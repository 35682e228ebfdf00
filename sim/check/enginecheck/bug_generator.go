package enginecheck

import (
	"context"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// comesBack is a generator whose every seventh CVV is the one before.
type comesBack struct{ engine.Generator }

// Draw implements engine.Generator.
func (g comesBack) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	if c.Version%7 != 0 {
		return g.Generator.Draw(ctx, c, code)
	}
	before, err := g.Open(ctx, c, true)
	for err == nil {
		hidden := *c // from itself, the value is none to avoid
		hidden.PreviousSealed, hidden.PreviousCode = nil, servicecode.Code{}
		if err = g.Generator.Draw(ctx, &hidden, servicecode.Code{}); err != nil {
			break
		}
		var now cvvgen.CVV
		if now, err = g.Open(ctx, &hidden, false); err == nil && now.Equal(before) {
			c.ServiceCode, c.Sealed = hidden.ServiceCode, hidden.Sealed
			return nil
		}
	}
	return err
}

// forgets is a generator that does not seal anew the CVV before.
type forgets struct{ engine.Generator }

// Reseal implements engine.Generator.
func (g forgets) Reseal(c *store.Card) (bool, error) {
	before := c.PreviousSealed
	changed, err := g.Generator.Reseal(c)
	c.PreviousSealed = before
	return changed, err
}
