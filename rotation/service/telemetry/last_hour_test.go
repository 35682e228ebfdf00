package telemetry

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"pgregory.net/rapid"
)

// TestRecent_MatchesListOfAllRotations compares the ring with a naive model.
func TestRecent_MatchesListOfAllRotations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clk := clock.NewMock()
		now := start.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "into the minute")))
		clk.Set(now)
		r := newRecent(clk)
		type happened struct {
			minute    int64
			automatic bool
			late      time.Duration
		}
		var all []happened
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute, 10 * time.Minute, 59 * time.Minute, time.Hour, 61 * time.Minute}).Draw(t, "later"))
			clk.Set(now)
			h := happened{now.Unix() / 60, rapid.Bool().Draw(t, "automatic"), time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(t, "late"))}
			r.add(h.automatic, h.late)
			all = append(all, h)
		}
		now = now.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 59 * time.Minute, time.Hour, 2 * time.Hour}).Draw(t, "until asked"))
		clk.Set(now)
		var want Hour
		var late []time.Duration
		for _, h := range all {
			age := now.Unix()/60 - h.minute
			if age >= Minutes {
				continue
			}
			want.PerMinute[Minutes-1-age]++
			want.Total++
			if h.automatic {
				want.Automatic++
				late = append(late, h.late)
			}
		}
		got := r.Hour()
		p50, p99 := got.P50, got.P99
		got.P50, got.P99 = 0, 0
		if got != want {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		slices.Sort(late)
		for q, got := range map[float64]time.Duration{0.5: p50, 0.99: p99} {
			if len(late) == 0 {
				if got != 0 {
					t.Fatalf("p%g of nothing is %v", 100*q, got)
				}
				continue
			}
			exact := max(late[int(math.Ceil(q*float64(len(late))))-1], time.Millisecond)
			if got < exact-exact/1e6 || float64(got) > 1.2*float64(exact) {
				t.Fatalf("p%g is %v, exactly %v", 100*q, got, exact)
			}
		}
	})
}

func TestRecent_RecoversFromClockStep(t *testing.T) {
	clk := clock.NewMock()
	clk.Set(start.Add(24 * time.Hour))
	r := newRecent(clk)
	r.add(true, time.Second)
	clk.Set(start)
	if h := r.Hour(); h.Total != 0 {
		t.Errorf("%d rotations in the future", h.Total)
	}
	r.add(true, time.Second)
	if h := r.Hour(); h.Total != 1 || h.PerMinute[Minutes-1] != 1 {
		t.Errorf("%+v", h)
	}
}
