package check

import "math/bits"

// stream is a sequence of random numbers that depends on its seed, its card and
// its purpose alone: number n is a hash of these and n. Neither the number of
// workers nor what another card, fault or stream draws changes it.
type stream struct{ key, n uint64 }

// The purposes.
const (
	streamOptions = iota
	streamCalls
	streamTimers
	streamFaults
	streamClocks
)

func newStream(seed uint64, card, purpose int) stream {
	return stream{key: mix(mix(seed+0x9e3779b97f4a7c15) ^ mix(uint64(card)<<8|uint64(purpose)))}
}

// mix is the finisher of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *stream) next() uint64 {
	s.n++
	return mix(s.key + s.n*0x9e3779b97f4a7c15)
}

// below returns a number in [0, n).
func (s *stream) below(n int64) int64 {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int64(hi)
}

// happens is true in weight of 256 cases.
func (s *stream) happens(weight uint8) bool {
	d := s.dice()
	return d.happens(weight)
}

// dice are eight draws of one chance in 256 each, for the price of one number.
type dice uint64

func (s *stream) dice() dice { return dice(s.next()) }

// happens is true in weight of 256 cases.
func (d *dice) happens(weight uint8) bool {
	side := uint8(*d)
	*d >>= 8
	return side < weight
}

func pick[T any](s *stream, of []T) T { return of[s.below(int64(len(of)))] }
