package cvvgen

import (
	"encoding/hex"
	"strings"
)

// raceDetector is set in a build with the race detector, under which sync.Pool,
// and with it crypto/rand, allocates at random.
var raceDetector bool

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic("bad hex in a test")
	}
	return b
}

func mustCVV(s string) CVV {
	c, err := ParseCVV(s)
	if err != nil {
		panic(err)
	}
	return c
}

func mustPAN(s string) PAN {
	p, err := ParsePAN(s)
	if err != nil {
		panic(err)
	}
	return p
}
