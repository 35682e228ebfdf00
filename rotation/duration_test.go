package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"
)

func TestFormatDuration_ParsesBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Nanosecond: "1ns", 10 * time.Second: "10s", 2 * time.Minute: "2m",
		10 * time.Minute: "10m", 119 * time.Second: "1m59s", time.Hour: "1h", 20 * time.Hour: "20h",
		90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", -24 * time.Hour: "-24h",
		-1 << 63: "-2562047h47m16.854775808s",
	} {
		got := rotation.FormatDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("FormatDuration(%d) = %q, want %q, which parses as %d (%v)", d, got, want, back, err)
		}
	}
}
