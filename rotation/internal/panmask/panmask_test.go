package panmask

import (
	"strconv"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

// TestMask uses published test numbers of the card schemes.
func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"acme":                                 "acme",
		"4111111111111111":                     "411111xxxxxx1111",
		"5555555555554444":                     "555555xxxxxx4444",
		"378282246310005":                      "378282xxxxx0005",
		"6011111111111117":                     "601111xxxxxx1117",
		"2223003122003222":                     "222300xxxxxx3222",
		"4222222222222":                        "422222xxx2222",       // 13 digits
		"6304000000000000000":                  "630400xxxxxxxxx0000", // 19 digits
		"6304000000000000001":                  "6304000000000000001", // wrong check digit
		"6304000000000000000000":               "6304000000000000000000",
		"4111111111111112":                     "4111111111111112", // wrong check digit
		"411111111111":                         "411111111111",     // 12 digits
		"1111111111111117":                     "1111111111111117", // no payment card
		"7111111111111111":                     "7111111111111111",
		"04111111111111111":                    "04111111111111111", // a longer run that begins with 0
		"41111111111111110":                    "41111111111111110",
		"user-4111111111111111@clients":        "user-411111xxxxxx1111@clients",
		"4111111111111111:4111111111111111":    "411111xxxxxx1111:411111xxxxxx1111",
		"x4111111111111111":                    "x411111xxxxxx1111",
		"4111-1111-1111-1111":                  "4111-1111-1111-1111", // four runs
		"٤١١١١١١١١١١١١١١١":                     "٤١١١١١١١١١١١١١١١",    // not ASCII
		"0191e7c5-7d3a-7b21-9e0f-123456789012": "0191e7c5-7d3a-7b21-9e0f-123456789012",
	} {
		t.Run(in, func(t *testing.T) {
			must.Equal(t, Mask(in), want)
			must.Equal(t, Mask(Mask(in)), want)
		})
	}
}

// TestMask_Lengths: of each length, exactly one check digit is masked, and only from 13
// to 19 digits.
func TestMask_Lengths(t *testing.T) {
	for length := 1; length <= 25; length++ {
		masked := 0
		for check := range 10 {
			if in := strings.Repeat("4", length-1) + strconv.Itoa(check); Mask(in) != in {
				masked++
			}
		}
		want := 0
		if length >= 13 && length <= 19 {
			want = 1
		}
		must.Equal(t, masked, want)
	}
	if n := testing.AllocsPerRun(100, func() { Mask("account-1234567890123456") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
