package check

import "cvvrotation/sim/internal/splitmix"

// stream is a sequence of random numbers that depends on its seed, its card and
// its purpose alone. What another card, fault or stream draws does not change it.
type stream struct{ splitmix.Stream }

// The purposes.
const (
	streamOptions = iota
	streamCalls
	streamTimers
	streamFaults
	streamClocks
)

func newStream(seed uint64, card, purpose int) stream {
	key := splitmix.Mix(seed+splitmix.Gamma) ^ splitmix.Mix(uint64(card)<<8|uint64(purpose))
	return stream{splitmix.New(splitmix.Mix(key))}
}

// happens reports true in weight of 256 cases.
func (s *stream) happens(weight uint8) bool {
	d := s.dice()
	return d.happens(weight)
}

// dice are eight draws of one chance in 256 each, for the price of one number.
type dice uint64

func (s *stream) dice() dice { return dice(s.Next()) }

// happens reports true in weight of 256 cases.
func (d *dice) happens(weight uint8) bool {
	side := uint8(*d)
	*d >>= 8
	return side < weight
}

func pick[T any](s *stream, of []T) T { return splitmix.Pick(&s.Stream, of...) }
