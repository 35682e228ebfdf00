// Package splitmix draws random numbers with SplitMix64 (Steele, Lea, Flood
// 2014). Each number is a hash of a key and a counter, so it depends neither on
// the number of goroutines nor on what other sequences have drawn.
package splitmix

import "math/bits"

// Gamma is 2^64 divided by the golden ratio, the increment of SplitMix64.
const Gamma = 0x9e3779b97f4a7c15

// Mix returns the finalizer of SplitMix64 applied to x.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// At returns number n, counted from 0, of the sequence of a key.
func At(key, n uint64) uint64 { return Mix(key + (n+1)*Gamma) }

// Below maps a random u to a number in [0, n).
func Below(u uint64, n int64) int64 {
	hi, _ := bits.Mul64(u, uint64(n))
	return int64(hi)
}

// Stream is the sequence of a key and the position in it. Its zero value is the
// sequence of key 0.
type Stream struct{ key, n uint64 }

// New returns the sequence of a key, from its start.
func New(key uint64) Stream { return Stream{key: key} }

// Next returns the next number.
func (s *Stream) Next() uint64 {
	s.n++
	return Mix(s.key + s.n*Gamma)
}

// Below returns a number in [0, n).
func (s *Stream) Below(n int64) int64 { return Below(s.Next(), n) }

// OneIn reports true in one of n cases.
func (s *Stream) OneIn(n int64) bool { return s.Below(n) == 0 }

// Pick returns one of the values.
func Pick[T any](s *Stream, of ...T) T { return of[s.Below(int64(len(of)))] }
