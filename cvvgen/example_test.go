package cvvgen_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"cvvrotation/cvvgen"
	"cvvrotation/servicecode"
)

// exampleDeriver has a published test key. A real key comes out of a key store
// and is cleared after use.
func exampleDeriver() *cvvgen.Local {
	pair, err := hex.DecodeString("0123456789ABCDEFFEDCBA9876543210")
	if err != nil {
		log.Fatal(err)
	}
	key, err := cvvgen.NewCVK(pair)
	if err != nil {
		log.Fatal(err)
	}
	clear(pair)
	local, err := cvvgen.NewLocal(key, cvvgen.ExpiryOrderYYMM, 3)
	if err != nil {
		log.Fatal(err)
	}
	return local
}

func exampleCard() cvvgen.Card {
	pan, err := cvvgen.ParsePAN("4123456789012349")
	if err != nil {
		log.Fatal(err)
	}
	expiry, err := cvvgen.ParseExpiry(cvvgen.ExpiryOrderMMYY, "1125") // as embossed
	if err != nil {
		log.Fatal(err)
	}
	return cvvgen.Card{PAN: pan, Expiry: expiry}
}

// Rotating a derived CVV is drawing a service code. Only the code is stored.
func Example_derived() {
	ctx := context.Background()
	deriver, card := exampleDeriver(), exampleCard()
	current := servicecode.MustParse("201")

	r, err := cvvgen.Rotate(ctx, deriver, card, current)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("code changed:", r.ServiceCode != current)
	fmt.Println("new CVV:", r.CVV)

	ok, err := cvvgen.Verify(ctx, deriver, card, r.ServiceCode, r.CVV)
	fmt.Println("verifies:", ok, err)
	// Output:
	// code changed: true
	// new CVV: [redacted]
	// verifies: true <nil>
}

// A random CVV is stored, encrypted, and replaced by a different one.
func Example_random() {
	random, err := cvvgen.NewRandom(3)
	if err != nil {
		fmt.Println(err)
		return
	}
	current := random.Next(cvvgen.CVV{}) // replaces nothing
	next := random.Next(current)
	fmt.Println(current, next, next.Equal(current), len(next.Reveal()))
	// Output:
	// [redacted] [redacted] false 3
}

// With a code of the caller's choice the CVV may come out as it was.
func ExampleRotateTo() {
	ctx := context.Background()
	deriver, card := exampleDeriver(), exampleCard()
	code := servicecode.MustParse("201")

	first, err := cvvgen.RotateTo(ctx, deriver, card, servicecode.Code{}, code)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A known answer with a published test key: never print a real one.
	fmt.Println(first.CVV.Reveal(), first.SameCVV)

	again, err := cvvgen.RotateTo(ctx, deriver, card, code, code)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(again.CVV.Reveal(), again.SameCVV)
	// Output:
	// 526 false
	// 526 true
}

// A request that is decoded into a CVV can be logged, but not encoded.
func ExampleCVV() {
	var request struct {
		Amount int
		CVV    cvvgen.CVV
	}
	err := json.Unmarshal([]byte(`{"Amount":100,"CVV":"073"}`), &request)
	fmt.Printf("%+v %v\n", request, err)

	_, err = json.Marshal(request)
	fmt.Println(errors.Is(err, cvvgen.ErrSecret))
	// Output:
	// {Amount:100 CVV:[redacted]} <nil>
	// true
}

// Published test vectors often have keys that no issuer may use.
func ExampleNewInsecureTestCVK() {
	pair, err := hex.DecodeString("13131313131313131313131313131313")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = cvvgen.NewCVK(pair)
	fmt.Println(err)

	key, err := cvvgen.NewInsecureTestCVK(pair)
	fmt.Println(key, err)
	// Output:
	// cvvgen: CVK halves A and B are the same key
	// [redacted] <nil>
}

// hsm stands for a client of a hardware security module, which holds the key.
type hsm struct {
	call func(command, pan, expiry, code string) (string, error)
}

func (h hsm) Derive(ctx context.Context, card cvvgen.Card, code servicecode.Code) (cvvgen.CVV, error) {
	if err := ctx.Err(); err != nil {
		return cvvgen.CVV{}, err
	}
	expiry, err := card.Expiry.Digits(cvvgen.ExpiryOrderYYMM)
	if err != nil {
		return cvvgen.CVV{}, err
	}
	answer, err := h.call("generate CVV", card.PAN.Reveal(), expiry, code.String())
	if err != nil {
		return cvvgen.CVV{}, err
	}
	return cvvgen.ParseCVV(answer)
}

// An HSM takes the place of a local key.
func ExampleDeriver() {
	module := hsm{call: func(command, pan, expiry, code string) (string, error) {
		fmt.Println(command, "for a PAN of", len(pan), "digits,", expiry, code)
		return "526", nil
	}}
	presented, err := cvvgen.ParseCVV("526")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cvvgen.Verify(context.Background(), module, exampleCard(), servicecode.MustParse("201"), presented))
	// Output:
	// generate CVV for a PAN of 16 digits, 2511 201
	// true <nil>
}
