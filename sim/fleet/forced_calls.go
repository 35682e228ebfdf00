package fleet

import (
	"math"
	"math/bits"

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
		c.burst = p.upToEnd(p.burstAt + splitmix.Below(splitmix.At(streamKey(p.Seed, card, streamBurst), 0), p.burstWithin))
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

// A stream is what a random number is for. Numbers of different streams are
// independent.
type stream uint64

const (
	streamFirst  stream = iota + 1 // a card's first slot
	streamForced                   // the gaps between a card's forced calls
	streamBurst                    // the instant of its forced call in the burst
)

// streamKey returns the key of one stream of one card. The stream's k-th number
// is splitmix.At(key, k).
func streamKey(seed uint64, card int64, s stream) uint64 {
	return splitmix.Mix(splitmix.Mix(seed+uint64(s)*splitmix.Gamma) + uint64(card)*splitmix.Gamma)
}

const (
	logSteps = 1024 // of the table, over [1/2, 1)
	logUnit  = 44   // fraction bits of a logarithm
)

// logs holds -ln(x) at x = 1/2 + i/2/logSteps.
var logs = func() (t [logSteps + 1]uint64) {
	for i := range t {
		t[i] = uint64(-math.Log(0.5+float64(i)/(2*logSteps))*(1<<logUnit) + 0.5)
	}
	return t
}()

// longestGap is the longest time between two forced calls of a card: 100 years
// of 365 days, in ns.
const longestGap = 100 * 365 * 24 * 3600e9

// exponential turns a random u into an exponentially distributed duration with
// the given mean, both in ns, from 1 to longestGap. It uses integers only, so
// that every machine gets the same result: -ln(u/2^64) is a table's entry,
// interpolated, plus ln 2 for each leading zero bit.
func exponential(u uint64, mean int64) int64 {
	u |= 1
	zeros := bits.LeadingZeros64(u)
	u <<= zeros & 63 // now the top bit stands for 1/2
	i := u >> 53 & (logSteps - 1)
	part := u >> 24 & (1<<29 - 1)
	e := logs[i] - (logs[i]-logs[i+1])*part>>29 + uint64(zeros)*logs[0]
	hi, lo := bits.Mul64(e, uint64(mean))
	if hi >= 1<<(logUnit-2) {
		return longestGap
	}
	return min(int64(hi<<(64-logUnit)|lo>>logUnit)+1, longestGap)
}
