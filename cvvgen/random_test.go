package cvvgen

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/cryptotest"

	"cvvrotation/sim/must"
)

// Over all 65,536 inputs each CVV comes out equally often, with its leading
// zeros, and nothing else does. Uniformity over the rest after excluding one
// value follows: the excluded value's inputs are rejected like the others.
func TestRandom_ReductionIsUniform(t *testing.T) {
	for _, tt := range []struct{ digits, values, each int }{{3, 1000, 65}, {4, 10_000, 6}} {
		r := must.Get(NewRandom(tt.digits))(t)
		count := map[string]int{}
		rejected := 0
		for u := range 1 << 16 {
			c, ok := r.from(uint16(u))
			if !ok {
				rejected++
				continue
			}
			count[c.Reveal()]++
		}
		for n := range tt.values {
			s := fmt.Sprintf("%0*d", tt.digits, n)
			if count[s] != tt.each {
				t.Errorf("%d digits: value %s comes out for %d inputs, want %d", tt.digits, s, count[s], tt.each)
			}
		}
		if len(count) != tt.values {
			t.Errorf("%d digits: %d values come out, want %d", tt.digits, len(count), tt.values)
		}
		if want := 1<<16 - tt.values*tt.each; rejected != want {
			t.Errorf("%d digits: %d inputs rejected, want %d", tt.digits, rejected, want)
		}
	}
}

// uniform judges counts of n draws: by chi², which notices holes and spikes, and
// by the largest gap between the cumulative counts and the diagonal
// (Kolmogorov-Smirnov), which notices small biases over wide ranges, such as
// that of a missing rejection. Its bounds are passed by chance once in 100,000
// times or less.
func uniform(count []int, n int) error {
	expected := float64(n) / float64(len(count))
	chi2, gap, sum := 0.0, 0.0, 0.0
	for i, c := range count {
		diff := float64(c) - expected
		chi2 += diff * diff / expected
		sum += float64(c)
		gap = max(gap, math.Abs(sum-expected*float64(i+1)))
	}
	k := float64(len(count) - 1)
	if math.Abs(chi2-k) > 5*math.Sqrt(2*k) {
		return fmt.Errorf("chi² is %.0f with %.0f degrees of freedom", chi2, k)
	}
	if ks := gap / math.Sqrt(float64(n)); ks > 2.5 {
		return fmt.Errorf("the cumulative counts are off by %.2f of √n", ks)
	}
	return nil
}

func TestRandom_DrawsUniformly(t *testing.T) {
	if raceDetector {
		t.Skip("a million draws on one goroutine have no race to find")
	}
	const n = 1_000_000
	read16 := func() uint16 {
		var b [2]byte
		rand.Read(b[:])
		return binary.LittleEndian.Uint16(b[:])
	}
	generator := func(digits int, buffered bool, exclude string) func() int {
		r, err := NewRandom(digits)
		if buffered {
			r, err = NewBufferedRandom(digits)
		}
		must.Do(t, err)
		var current CVV
		if exclude != "" {
			current = mustCVV(exclude)
		}
		return func() int {
			c := r.Next(current)
			if !c.IsValid() || c == current {
				t.Fatal("Next returned no CVV or the one to replace")
			}
			return int(permutation.unmask(c.digits) - firsts[digits])
		}
	}
	for _, tt := range []struct {
		name    string
		values  int
		next    func() int
		skip    int // the excluded value, -1 for none
		uniform bool
	}{
		{"3 digits", 1000, generator(3, false, ""), -1, true},
		{"4 digits", 10_000, generator(4, false, ""), -1, true},
		{"3 digits buffered", 1000, generator(3, true, ""), -1, true},
		{"4 digits buffered", 10_000, generator(4, true, ""), -1, true},
		{"3 digits without 042", 1000, generator(3, false, "042"), 42, true},
		{"3 digits buffered without 999", 1000, generator(3, true, "999"), 999, true},
		{"3 digits, a current value of 4 excludes nothing", 1000, generator(3, false, "0042"), -1, true},

		// Planted: the same judgement must see that these are wrong.
		{"planted: no rejection", 1000, func() int { return int(read16() % 1000) }, -1, false},
		{"planted: no rejection, 4 digits", 10_000, func() int { return int(read16() % 10_000) }, -1, false},
		{"planted: byte % 10", 1000, func() int {
			var b [3]byte
			rand.Read(b[:])
			return int(b[0]%10)*100 + int(b[1]%10)*10 + int(b[2]%10)
		}, -1, false},
		{"planted: no leading zero", 1000, func() int { return 100 + int(read16()%900) }, -1, false},
		{"planted: stepping aside from 042", 1000, func() int {
			v := int(read16()%65_000) % 1000
			if v == 42 {
				v++
			}
			return v
		}, 42, false},
		{"planted: one value never", 1000, func() int {
			for {
				if v := read16(); v < 65_000 && v%1000 != 777 {
					return int(v % 1000)
				}
			}
		}, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 3)
			count := make([]int, tt.values)
			for range n {
				count[tt.next()]++
			}
			if tt.skip >= 0 {
				if count[tt.skip] != 0 {
					t.Errorf("the excluded value came %d times", count[tt.skip])
				}
				count = append(count[:tt.skip], count[tt.skip+1:]...)
			}
			if err := uniform(count, n); (err == nil) != tt.uniform {
				t.Errorf("judged uniform %v (%v), want %v", err == nil, err, tt.uniform)
			}
		})
	}
}

func TestRandom_OffersThreeOrFourDigits(t *testing.T) {
	for digits := -1; digits < 8; digits++ {
		_, err := NewRandom(digits)
		_, berr := NewBufferedRandom(digits)
		want := digits == 3 || digits == 4
		if (err == nil) != want || (berr == nil) != want {
			t.Errorf("%d digits: errors %v and %v", digits, err, berr)
		}
		if !want && (!errors.Is(err, ErrDigits) || !errors.Is(berr, ErrDigits)) {
			t.Errorf("%d digits: errors %v and %v, want ErrDigits", digits, err, berr)
		}
	}
	var zero Random
	if c := zero.Next(CVV{}); len(c.Reveal()) != 3 {
		t.Error("the zero Random does not generate 3 digits")
	}
}

// The buffered generator uses every byte once, in order, and leaves zeros.
func TestBufferedRandom_WipesUsedBytes(t *testing.T) {
	c := &chunk{}
	for i := range c.bytes {
		c.bytes[i] = byte(i*7 + i/256 | 1) // never 0
	}
	content := c.bytes
	r := &Random{chunks: &sync.Pool{New: func() any { return c }}}
	for at := 0; at < chunkSize; {
		for {
			want, ok := r.from(binary.LittleEndian.Uint16(content[at:]))
			at += 2
			if ok {
				if got := r.Next(CVV{}); got != want {
					t.Fatalf("the value from byte %d on is not what the bytes say", at-2)
				}
				break
			}
		}
		if c.used != at {
			t.Fatalf("%d bytes used, want %d", c.used, at)
		}
		for i, b := range c.bytes {
			if want := content[i]; i < at && b != 0 || i >= at && b != want {
				t.Fatalf("byte %d is wrong after %d were used", i, at)
			}
		}
	}
	r.Next(CVV{})
	if c.used == 0 || c.used == chunkSize || c.bytes == ([chunkSize]byte{}) {
		t.Error("the chunk was not filled again")
	}
}

func TestRandom_IsSafeForConcurrentUse(t *testing.T) {
	for _, newRandom := range []func(int) (*Random, error){NewRandom, NewBufferedRandom} {
		r := must.Get(newRandom(3))(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				current := r.Next(CVV{})
				for range 5000 {
					next := r.Next(current)
					if next == current || !next.IsValid() {
						t.Error("Next returned no CVV or the one to replace")
						return
					}
					current = next
				}
			})
		}
		wg.Wait()
	}
}
