package rotation

import (
	"strings"
	"time"
)

// FormatDuration returns d in Go's spelling without trailing zero units: 24h
// instead of 24h0m0s. [time.ParseDuration] reads it back. States, events, rules
// and timelines spell durations so.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
