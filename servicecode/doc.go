// Package servicecode holds the three-digit service code of a payment card
// (ISO/IEC 7813), which says where a card may be used, how a payment is
// authorized and whether a PIN is asked for.
//
// [Code] is a small comparable value in the manner of [net/netip.Addr]: use ==
// to compare it, use it as a map key, and take its zero value for "no code".
// The zero value is not 000. What a code says (Example):
//
//	c, err := servicecode.Parse("226")
//	if err != nil {
//		fmt.Println(err)
//		return
//	}
//	fmt.Println(c, "means", c.Describe())
//	fmt.Println("chip:", c.Interchange().Chip())
//	fmt.Println("online:", c.Authorization().Online())
//	fmt.Println("PIN required:", c.Services().PINRequired())
//
// Two questions are kept apart. [Parse] asks whether the text is three digits,
// and accepts all 1,000. [Code.IsAssigned] asks whether the standard gives each
// of the digits a meaning, which is so for 6 × 3 × 8 = 144 codes. Everything in
// between is a reserved code, which prints as such and can be carried around:
// cards and card systems use values outside the table, above all 000 and 999,
// the stand-ins for computing a CVV2 and an iCVV ([CVV2], [ICVV]).
//
// # Drawing a code at random
//
// There are two sets to draw from, and the choice matters:
//
//   - [RandomAssigned] draws from the 144 assigned codes, for a code that a
//     terminal is going to read.
//   - [RandomForCVV] draws from the 998 codes other than 000 and 999, for a code
//     that is only an input of the CVV algorithm. With the larger set a CVV
//     comes back less often.
//
// Both leave out the current code and are uniform over the rest.
//
// # What is left to the caller
//
// The package does not decide which codes an issuer may put on a card, and it
// stores nothing. A service code is no secret, but a mistyped one may be a card
// verification value: errors therefore give lengths and positions, never input.
//
// All functions and methods are safe for concurrent use, except that
// UnmarshalText, UnmarshalBinary and Scan write to their receiver.
package servicecode
