package servicecode

import (
	"crypto/rand"
	"encoding/binary"
)

// RandomAssigned returns a code drawn with crypto/rand, uniformly from the 144
// assigned codes except current. A current that is not among them, such as the
// zero value, excludes nothing.
//
// Use it for a code that is shown, encoded on a stripe or read by a terminal.
// crypto/rand does not fail; it ends the program if the system has no
// randomness.
func RandomAssigned(current Code) Code { return random(assignedFrom, current) }

// RandomForCVV returns a code drawn with crypto/rand, uniformly from the 1,000
// codes except 000, 999 and current. A current that is not among them, such as
// the zero value, excludes nothing.
//
// Use it for a code that is only an input of the CVV algorithm: 000 and 999 are
// left out because they give the CVV2 and the iCVV of the same card. Most codes
// it returns are reserved, so do not put them where a terminal reads them.
func RandomForCVV(current Code) Code { return random(forCVVFrom, current) }

// random draws until from accepts the two bytes and gives another code than
// current. Drawing again, rather than stepping aside, keeps the rest uniform.
func random(from func(uint16) (Code, bool), current Code) Code {
	for {
		var b [2]byte
		rand.Read(b[:])
		if c, ok := from(binary.LittleEndian.Uint16(b[:])); ok && c != current {
			return c
		}
	}
}

// assignedFrom maps 144 × 455 = 65,520 of the 65,536 inputs onto the assigned
// codes, each the same number of times, and rejects the rest.
func assignedFrom(u uint16) (Code, bool) {
	const first, second, third = "125679", "024", "01234567"
	const n = len(first) * len(second) * len(third)
	if int(u) >= 1<<16/n*n {
		return Code{}, false
	}
	i := int(u) % n
	return Code{[3]byte{
		first[i/(len(second)*len(third))],
		second[i/len(third)%len(second)],
		third[i%len(third)],
	}}, true
}

// forCVVFrom maps 998 × 65 = 64,870 of the 65,536 inputs onto the codes 001 to
// 998, each the same number of times, and rejects the rest.
func forCVVFrom(u uint16) (Code, bool) {
	const n = 998
	if u >= 1<<16/n*n {
		return Code{}, false
	}
	i := u%n + 1
	return Code{[3]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)}}, true
}
