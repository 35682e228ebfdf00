package splitmix

import "testing"

func TestStream_FollowsThePublishedSequence(t *testing.T) {
	s := New(0)
	for n, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := s.Next(); got != want || At(0, uint64(n)) != want {
			t.Errorf("number %d is %#x, and At returns %#x; want %#x", n, got, At(0, uint64(n)), want)
		}
	}
}

func TestStream_DrawsEachValueOfASmallRange(t *testing.T) {
	s := New(7)
	seen := map[int64]int{}
	for range 7000 {
		seen[s.Below(7)]++
	}
	for v := range int64(7) {
		if seen[v] < 850 || seen[v] > 1150 {
			t.Errorf("%d was drawn %d times in 7000", v, seen[v])
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d different values below 7", len(seen))
	}
}
