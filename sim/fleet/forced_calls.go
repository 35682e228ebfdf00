package fleet

import (
	"math"

	"cvvrotation/sim/internal/splitmix"
)

// never is an instant after all others.
const never = math.MaxInt64

// calls are the forced calls of one card, in order of time: the regular ones
// and the one in the burst. All instants are ns since the start.
type calls struct {
	next    int64 // the next call, never when there is none up to the end
	regular int64 // the next regular call, or never
	burst   int64 // the call in the burst, never when none or made
	key     uint64
	drawn   uint64 // gaps drawn
}

// callsOf returns the forced calls of a card.
func (p *plan) callsOf(card int64) calls {
	c := calls{regular: never, burst: never}
	if p.forcedEvery > 0 {
		c.key = streamKey(p.Seed, card, streamForced)
		if p.Forced.Steady {
			c.regular = 1 + splitmix.Below(splitmix.At(c.key, 0), p.forcedEvery)
		} else {
			c.regular = p.gap(&c)
		}
		c.regular = p.upToEnd(c.regular)
	}
	if p.inBurst(card) {
		c.burst = p.burstOf(card)
	}
	c.next = min(c.regular, c.burst)
	return c
}

// burstOf returns the instant of the call of a card that takes part in the burst.
func (p *plan) burstOf(card int64) int64 {
	return p.upToEnd(p.burstAt + splitmix.Below(splitmix.At(streamKey(p.Seed, card, streamBurst), 0), p.burstWithin))
}

// kept is how far the calls of a card have come, in few bytes.
type kept struct {
	regular int64
	drawn   uint32
	burst   bool // is still to come
}

func (c *calls) keep() kept { return kept{c.regular, uint32(c.drawn), c.burst != never} }

// resume returns the calls that keep has kept.
func (p *plan) resume(card int64, k kept) calls {
	c := calls{regular: k.regular, burst: never, drawn: uint64(k.drawn)}
	if p.forcedEvery > 0 {
		c.key = streamKey(p.Seed, card, streamForced)
	}
	if k.burst {
		c.burst = p.burstOf(card)
	}
	c.next = min(c.regular, c.burst)
	return c
}

// inBurst reports whether a card takes part in the burst. Of any run of cards
// the share does, up to one card.
func (p *plan) inBurst(card int64) bool {
	return (uint64(card)+1)*p.burstQuota>>quotaBits != uint64(card)*p.burstQuota>>quotaBits
}

// advance moves on to the call after next.
func (p *plan) advance(c *calls) {
	if c.regular > c.burst {
		c.burst = never
	} else {
		gap := p.forcedEvery
		if !p.Forced.Steady {
			gap = p.gap(c)
		}
		// Neither overflows: the call is within ten years, a gap within a hundred.
		c.regular = p.upToEnd(c.regular + gap)
	}
	c.next = min(c.regular, c.burst)
}

// gap draws the time to the next regular call of a Poisson process.
func (p *plan) gap(c *calls) int64 {
	gap := exponential(splitmix.At(c.key, c.drawn), p.forcedEvery)
	c.drawn++
	return gap
}

func (p *plan) upToEnd(at int64) int64 {
	if at > p.end {
		return never
	}
	return at
}
