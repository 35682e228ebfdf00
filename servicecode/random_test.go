package servicecode

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/cryptotest"
)

// drawing is one of the two sets, with its members by the definition.
type drawing struct {
	name   string
	from   func(uint16) (Code, bool)
	draw   func(Code) Code
	member func(n int, c Code) bool
	size   int
	each   int // inputs per code
}

var drawings = []drawing{
	{"assigned", assignedFrom, RandomAssigned, func(_ int, c Code) bool { return c.IsAssigned() }, 144, 455},
	{"for CVV", forCVVFrom, RandomForCVV, func(n int, _ Code) bool { return n != 0 && n != 999 }, 998, 65},
}

func (d drawing) members() []Code {
	var all []Code
	for n := range 1000 {
		if c := MustParse(fmt.Sprintf("%03d", n)); d.member(n, c) {
			all = append(all, c)
		}
	}
	return all
}

// Over all 65,536 inputs each member comes out equally often, and nothing else
// does. Uniformity over the rest after excluding one code follows: the excluded
// code's inputs are rejected like the others.
func TestRandom_ReductionIsUniform(t *testing.T) {
	for _, d := range drawings {
		t.Run(d.name, func(t *testing.T) {
			members := d.members()
			if len(members) != d.size {
				t.Fatalf("%d members, want %d", len(members), d.size)
			}
			count := map[Code]int{}
			rejected := 0
			for u := range 1 << 16 {
				c, ok := d.from(uint16(u))
				if !ok {
					rejected++
					continue
				}
				count[c]++
			}
			for _, c := range members {
				if count[c] != d.each {
					t.Errorf("%v comes out for %d inputs, want %d", c, count[c], d.each)
				}
			}
			if len(count) != d.size {
				t.Errorf("%d codes come out, want %d", len(count), d.size)
			}
			if want := 1<<16 - d.size*d.each; rejected != want {
				t.Errorf("%d inputs rejected, want %d", rejected, want)
			}
		})
	}
}

func TestRandom_NeverReturnsCurrent(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	for _, d := range drawings {
		members := d.members()
		for _, current := range members {
			for range 60 {
				got := d.draw(current)
				if got == current {
					t.Fatalf("%s: drew the current code %v", d.name, current)
				}
				if !slices.Contains(members, got) {
					t.Fatalf("%s: drew %v, which is not in the set", d.name, got)
				}
			}
		}
	}
}

// The second layer: what is drawn, through the exported functions, looks
// uniform over the set without the current code.
func TestRandom_DrawsUniformly(t *testing.T) {
	for _, d := range drawings {
		for _, current := range []Code{{}, MustParse("201"), CVV2()} {
			t.Run(fmt.Sprintf("%s without %v", d.name, current), func(t *testing.T) {
				cryptotest.SetGlobalRandom(t, 2)
				want := slices.DeleteFunc(d.members(), func(c Code) bool { return c == current })
				const n = 200_000
				count := map[Code]int{}
				for range n {
					count[d.draw(current)]++
				}
				expected := float64(n) / float64(len(want))
				chi2 := 0.0
				for _, c := range want {
					diff := float64(count[c]) - expected
					chi2 += diff * diff / expected
				}
				if len(count) != len(want) {
					t.Errorf("%d codes drawn, want %d", len(count), len(want))
				}
				// chi2 has mean k and variance 2k; five deviations either way.
				k := float64(len(want) - 1)
				if math.Abs(chi2-k) > 5*math.Sqrt(2*k) {
					t.Errorf("chi² = %.0f with %.0f degrees of freedom", chi2, k)
				}
			})
		}
	}
}
