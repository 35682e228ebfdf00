// Package hsm is an example: CVVs derived in a hardware security module or a payment
// cryptography service. The CVK pair never enters the process.
package hsm

import (
	"context"
	"errors"

	"cvvrotation/cvvgen"
	"cvvrotation/servicecode"
)

// Client is the module's own client: command CW of a payShield, CSNBCSG of a Crypto
// Express, GenerateCardValidationData of AWS.
type Client interface {
	GenerateCVV(ctx context.Context, pan, expiry, serviceCode string) (digits string, err error)
}

// Deriver implements [cvvgen.Deriver] with a Client. The engine calls it inside a
// transaction, which locks the card meanwhile: set a short timeout.
type Deriver struct {
	Client Client
	Order  cvvgen.ExpiryOrder // as in your authorisation system
}

// Derive returns the CVV. Its error contains no text of the client's, which may quote
// the PAN; log that where you know that it does not.
func (d Deriver) Derive(ctx context.Context, card cvvgen.Card, code servicecode.Code) (cvvgen.CVV, error) {
	expiry, err := card.Expiry.Digits(d.Order)
	if err != nil {
		return cvvgen.CVV{}, err
	}
	digits, err := d.Client.GenerateCVV(ctx, card.PAN.Reveal(), expiry, code.String())
	if err != nil {
		return cvvgen.CVV{}, errors.Join(errors.New("the HSM derived no CVV"), ctx.Err())
	}
	return cvvgen.ParseCVV(digits)
}
