package cvvgen

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"

	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// bareRead is the baseline: what is least needed for an unbiased number of three
// digits.
func bareRead() uint16 {
	for {
		var b [2]byte
		rand.Read(b[:])
		if u := binary.LittleEndian.Uint16(b[:]); u < 65_000 {
			return u % 1000
		}
	}
}

func randInt(n int64) *big.Int {
	i, _ := rand.Int(rand.Reader, big.NewInt(n))
	return i
}

// BenchmarkCVV has all figures in one benchmark, so that ratios are of one run.
// Each is measured on one goroutine and, as parallel, on GOMAXPROCS of them with
// [testing.B.RunParallel]: the figure is then wall time per value over all of
// them, so that perfect scaling on two cores halves it.
func BenchmarkCVV(b *testing.B) {
	three, _ := NewRandom(3)
	four, _ := NewRandom(4)
	buffered, _ := NewBufferedRandom(3)
	current := three.Next(CVV{})

	pair := unhex("4C37C8319D76ADAB58D9431543C2165B")
	key := must.Get(NewCVK(pair))(b)
	local := must.Get(NewLocal(key, ExpiryOrderYYMM, 3))(b)
	card := Card{mustPAN("4123456789012345"), Expiry{year: 29, month: 11}}
	code := servicecode.MustParse("201")
	ctx := context.Background()

	for _, bench := range []struct {
		name string
		f    func()
	}{
		{"bare 2-byte read", func() { bareRead() }},
		{"random/3 digits", func() { three.Next(current) }},
		{"random/4 digits", func() { four.Next(current) }},
		{"random/buffered", func() { buffered.Next(current) }},
		{"idiom/rand.Int of 1000", func() { _ = fmt.Sprintf("%03d", randInt(1000)) }},
		{"idiom/rand.Int of 1000, number only", func() { randInt(1000) }},
		{"idiom/3 times rand.Int of 10", func() { randInt(10); randInt(10); randInt(10) }},
		{"derived/cached key schedules", func() { local.Derive(ctx, card, code) }},
		{"derived/new key schedules", func() {
			key, _ := NewCVK(pair)
			local, _ := NewLocal(key, ExpiryOrderYYMM, 3)
			local.Derive(ctx, card, code)
		}},
		{"derived/rotate", func() { Rotate(ctx, local, card, code) }},
		{"derived/verify", func() { Verify(ctx, local, card, code, current) }},
		{"service code for CVV", func() { servicecode.RandomForCVV(code) }},
		{"equal", func() { current.Equal(current) }},
		{"reveal", func() { _ = current.Reveal() }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.f()
			}
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bench.f()
				}
			})
		})
	}
}
