package enginecheck

import "math/bits"

// stream is a sequence of random numbers that depends on its key alone: number n
// is a hash of the key and n. Taking a step out of a run changes what no other
// step draws.
type stream struct{ key, n uint64 }

func newStream(seed, step uint64) stream {
	return stream{key: mix(mix(seed+golden) ^ mix(step^golden))}
}

const golden = 0x9e3779b97f4a7c15

// mix is the finisher of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *stream) next() uint64 {
	s.n++
	return mix(s.key + s.n*golden)
}

// below returns a number in [0, n).
func (s *stream) below(n int64) int64 {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int64(hi)
}

// one is true once in n cases.
func (s *stream) one(n int64) bool { return s.below(n) == 0 }

func pick[T any](s *stream, of ...T) T { return of[s.below(int64(len(of)))] }
