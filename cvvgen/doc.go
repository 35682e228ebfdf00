// Package cvvgen generates card verification values (CVV, CVC) and keeps them out of
// logs, errors and encodings.
//
// There are two kinds, with different duties for the issuer:
//
//   - A random CVV, from [Random], has no connection with the card. The issuer
//     must store it, encrypted (PCI DSS v4.0.1, 3.3.3).
//   - A derived CVV is computed from the card number, the expiry date, a service
//     code and a key, by the algorithm of the card schemes. The issuer stores only
//     the service code, which is no secret: [Rotate] draws a new one, and [Verify]
//     computes the CVV again. The algorithm needs DES, which
//     GODEBUG=fips140=only forbids ([ErrDESUnavailable]).
//
// Rotating a derived CVV (Example_derived):
//
//	ctx := context.Background()
//	deriver, card := exampleDeriver(), exampleCard()
//	current := servicecode.MustParse("201")
//
//	r, err := cvvgen.Rotate(ctx, deriver, card, current)
//	if err != nil {
//		fmt.Println(err)
//		return
//	}
//	fmt.Println("code changed:", r.ServiceCode != current)
//	fmt.Println("new CVV:", r.CVV)
//
//	ok, err := cvvgen.Verify(ctx, deriver, card, r.ServiceCode, r.CVV)
//	fmt.Println("verifies:", ok, err)
//
// [Deriver] is the interface for a hardware security module; [Local] implements it
// with a key in this process.
//
// # Secrets
//
// [CVV], [PAN] and [CVK] print as "[redacted]" whatever the verb and in every
// log, and refuse to be marshalled (JSON, XML, text, gob, SQL) with [ErrSecret].
// A printer that bypasses their methods finds a masked number or a function: for an
// unexported field, %p, a misplaced %w, or by reflection. Only CVV.Reveal and
// PAN.Reveal return the digits, so a search for "Reveal" audits a program. Nothing
// returns a key. Embedding one of these types in a struct promotes its methods: the
// whole struct then prints as "[redacted]" and no longer marshals. Name the field
// instead.
//
// This protects against accidental printing. It does not protect against a reader of
// the process's memory, a core dump or a debugger.
//
// # What is left to the caller
//
// When to rotate, how long a previous CVV is still accepted, counting failed
// attempts (rotation must not reset the counter), and storage. The package writes no
// log. It does not check a PAN's check digit or whether a card has expired.
//
// # Concurrency
//
// Everything is safe for concurrent use, except that UnmarshalText writes to its
// receiver.
package cvvgen
