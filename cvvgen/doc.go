// Package cvvgen makes card verification values (CVV, CVC), new ones for a
// rotation above all, and keeps them from leaking.
//
// There are two kinds, with different duties for the issuer:
//
//   - A random CVV, from [Random], has no connection with the card. The issuer
//     must store it, encrypted (PCI DSS v4.0.1, 3.3.3).
//   - A derived CVV is computed from the card number, the expiry date, a service
//     code and a key, by the algorithm of the card schemes. The issuer stores
//     nothing secret: [Rotate] draws a new service code, which is all there is
//     to keep, and [Verify] computes the value again.
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
// [Deriver] is the seam for a hardware security module; [Local] is the one that
// holds the key in this process.
//
// # Secrets
//
// [CVV], [PAN] and [CVK] print as "[redacted]" whatever the verb and in every
// log, and refuse to be marshalled (JSON, XML, text, gob, SQL) with [ErrSecret].
// Where a printer goes around their methods, as for an unexported field, %p, a
// misplaced %w or a reflecting dumper, it finds a masked number or a function.
// CVV.Reveal and PAN.Reveal are the only ways to the digits, so that a search
// for "Reveal" audits a program; a key has no way out. Embedding one of these
// types in a struct promotes its methods: the whole struct then prints as
// "[redacted]" and no longer marshals. Name the field instead.
//
// This is a defence against accidents of printing. It is none against a reader
// of the process's memory, a core dump or a debugger.
//
// # What is left to the caller
//
// When to rotate, whether an old value stays good for a while, counting failed
// tries (a counter that a rotation resets gives tries away), and storage. The
// package writes no log. A PAN's check digit and a card's expiry are not judged.
//
// # Concurrency
//
// Everything is safe for concurrent use, except that UnmarshalText writes to its
// receiver.
package cvvgen
