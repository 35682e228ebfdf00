package status

import "fmt"

func ago(minutes int) string {
	if minutes == 0 {
		return "this minute"
	}
	return fmt.Sprintf("%d min ago", minutes)
}

// chart holds the bars of one hour, one per minute.
type chart struct {
	Bars  []bar
	Total int64
	Max   int64
	Peak  string // minute of the largest bar; "" if all are empty
}

type bar struct {
	X      int
	Y, H   float64 // percent of the height
	Minute string
	Count  int64
}

func newChart(counts []int64, minute func(int) string) *chart {
	c := &chart{}
	for i, n := range counts {
		c.Total += n
		if n > c.Max {
			c.Max, c.Peak = n, minute(i)
		}
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		h := max(100*float64(n)/float64(c.Max), 1.5) // keeps a bar of 1 visible beside one of 1000
		c.Bars = append(c.Bars, bar{X: i * 10, Y: 100 - h, H: h, Minute: minute(i), Count: n})
	}
	return c
}
