package cvvgen

import (
	"encoding/hex"
	"strings"
)

// raceDetector is set in a build with the race detector, under which sync.Pool,
// and with it crypto/rand, allocates at random.
var raceDetector bool

// verbs are what a value may be formatted with, wrongly or not.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%+q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%+d", "%08d",
	"%o", "%O", "%b", "%c", "%U", "%t", "%e", "%g", "%p", "%w", "%!w", "%z", "%T", "%10v", "%-10s", "%.2f", "%[1]*[1]d",
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic("bad hex in a test")
	}
	return b
}

// get returns v, and panics if err is not nil: for fixtures without a test.
func get[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func mustCVV(s string) CVV { return get(ParseCVV(s)) }
func mustPAN(s string) PAN { return get(ParsePAN(s)) }
func mustCVK(s string) CVK { return get(NewInsecureTestCVK(unhex(s))) }
