package fleet

import (
	"math"
	"math/bits"

	"cvvrotation/sim/internal/splitmix"
)

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
