package enginecheck

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/internal/splitmix"
)

// deriver derives the CVVs of runs with derived CVVs.
var deriver = mustDeriver()

// newGenerator returns the generator of a replica with these keys, the current one
// first. Its digits and service codes are a function of the run's seed, the step, and
// how many draws the step has made.
func (r *run) newGenerator(keys ...uint32) engine.Generator {
	ring := keyring(keys[0], keys[1:]...)
	if r.o.derived {
		return derived{engine.Derived(deriver, ring, engine.DerivedOptions{AnyPAN: true}), r}
	}
	return plain{engine.Random(nil, ring), r, keys}
}

// draw returns the random numbers of the next draw of a CVV or service code.
func (r *run) draw() splitmix.Stream {
	r.draws++
	return newStream(r.seed, 1<<60|r.number<<20|r.draws)
}

// code returns an assigned service code other than current.
func (r *run) code(current servicecode.Code) servicecode.Code {
	for s := r.draw(); ; {
		c := servicecode.MustParse(fmt.Sprintf("%d%d%d", splitmix.Pick(&s, 1, 2, 5, 6, 7, 9), splitmix.Pick(&s, 0, 2, 4), s.Below(8)))
		if c != current {
			return c
		}
	}
}

// derived derives CVVs with service codes of its run.
type derived struct {
	engine.Generator
	r *run
}

// Draw implements engine.Generator.
func (g derived) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	if code.IsValid() {
		return g.Generator.Draw(ctx, c, code, avoid)
	}
	for {
		err := g.Generator.Draw(ctx, c, g.r.code(c.PreviousCode), avoid)
		if !errors.Is(err, engine.ErrInvalid) { // else the code gives the replaced CVV or one to avoid
			return err
		}
	}
}

// plain draws the CVVs and service codes of its run, and seals in the clear: the number
// of a key, the card's id, the version, the digits.
type plain struct {
	engine.Generator // for Identify
	r                *run
	keys             []uint32
}

func (g plain) seal(cvv, id string, version int64) []byte {
	return fmt.Appendf(nil, "%d %s %d %s", g.keys[0], id, version, cvv)
}

func (g plain) open(sealed []byte, id string, version int64) (cvv cvvgen.CVV, current bool, err error) {
	if sealed == nil {
		return cvv, true, nil
	}
	var key uint32
	var of, digits string
	var at int64
	if _, err := fmt.Sscanf(string(sealed), "%d %s %d %s", &key, &of, &at, &digits); err != nil || of != id || at != version {
		return cvv, false, seal.ErrOpen
	}
	if !slices.Contains(g.keys, key) {
		return cvv, false, seal.ErrUnknownKey
	}
	return cvv, key == g.keys[0], cvv.UnmarshalText([]byte(digits))
}

// Draw implements engine.Generator.
func (g plain) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	before, _ := g.Previous(ctx, c) // if it is unreadable, any CVV differs
	if !code.IsValid() {
		code = g.r.code(c.PreviousCode)
	}
	for s := g.r.draw(); ; {
		digits := fmt.Sprintf("%03d", s.Below(1000))
		if cvv, err := cvvgen.ParseCVV(digits); err != nil || !cvv.Equal(before) && !slices.ContainsFunc(avoid, cvv.Equal) {
			c.ServiceCode, c.Sealed = code, g.seal(digits, c.ID, c.Version)
			return err
		}
	}
}

// Current implements engine.Generator.
func (g plain) Current(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	cvv, _, err := g.open(c.Sealed, c.ID, c.Version)
	return cvv, err
}

// Previous implements engine.Generator.
func (g plain) Previous(_ context.Context, c *store.Card) (cvvgen.CVV, error) {
	cvv, _, err := g.open(c.PreviousSealed, c.ID, c.Version-1)
	return cvv, err
}

// Compromised implements engine.Generator.
func (g plain) Compromised(c *store.Card) (cvvs []cvvgen.CVV, err error) {
	words := strings.Fields(string(c.Compromised))
	for i := 0; i+3 < len(words) && err == nil; i += 4 {
		var cvv cvvgen.CVV
		cvv, _, err = g.open([]byte(strings.Join(words[i:i+4], " ")), c.ID, 0)
		cvvs = append(cvvs, cvv)
	}
	return cvvs, err
}

// SetCompromised implements engine.Generator.
func (g plain) SetCompromised(c *store.Card, cvvs []cvvgen.CVV) {
	c.Compromised = nil
	for _, cvv := range cvvs {
		c.Compromised = append(append(c.Compromised, g.seal(cvv.Reveal(), c.ID, 0)...), ' ')
	}
}

// Reseal implements engine.Generator.
func (g plain) Reseal(c *store.Card) (changed bool, err error) {
	for i, sealed := range []*[]byte{&c.Sealed, &c.PreviousSealed} {
		version := c.Version - int64(i)
		cvv, current, err := g.open(*sealed, c.ID, version)
		if err != nil {
			return false, err
		}
		if !current {
			*sealed, changed = g.seal(cvv.Reveal(), c.ID, version), true
		}
	}
	cvvs, err := g.Compromised(c)
	if before := string(c.Compromised); err == nil {
		g.SetCompromised(c, cvvs)
		changed = changed || string(c.Compromised) != before
	}
	return changed, err
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
func (f failing) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	if !f.r.poisoned[c.ID] {
		return f.Generator.Draw(ctx, c, code, avoid)
	}
	if f.r.claiming && c.Version%2 == 0 {
		panic("the generator panics")
	}
	return errDraw
}

// comesBack is a generator that draws the replaced CVV every seventh time.
type comesBack struct{ engine.Generator }

// Draw implements engine.Generator.
func (g comesBack) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	if c.Version%7 != 0 {
		return g.Generator.Draw(ctx, c, code, avoid)
	}
	before, err := g.Previous(ctx, c)
	for err == nil {
		hidden := *c // so that the generator does not avoid it
		hidden.PreviousSealed, hidden.PreviousCode = nil, servicecode.Code{}
		if err = g.Generator.Draw(ctx, &hidden, servicecode.Code{}, nil); err != nil {
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

// reuses is a generator that brings compromised CVVs back.
type reuses struct{ engine.Generator }

// Draw implements engine.Generator.
func (g reuses) Draw(ctx context.Context, c *store.Card, code servicecode.Code, _ []cvvgen.CVV) error {
	return g.Generator.Draw(ctx, c, code, nil)
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
