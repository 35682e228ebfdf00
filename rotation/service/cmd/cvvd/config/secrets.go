package config

import (
	"context"
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"strings"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/internal/filemode"
	"cvvrotation/rotation/service/webhook"
)

// secret returns the direct value, or the content of the file without surrounding
// white space. Exactly one of the two must be set.
func secret(field string, direct Secret, file string) (string, error) {
	text, err := secretBytes(field, direct, file)
	defer clear(text)
	return strings.TrimSpace(string(text)), err
}

// secretBytes is secret with the file's content as it is.
func secretBytes(field string, direct Secret, file string) ([]byte, error) {
	switch {
	case direct.IsSet() && file != "":
		return nil, &FieldError{field, "is set twice: unset the variable or " + field + "_file"}
	case direct.IsSet():
		return []byte(direct.Reveal()), nil
	case file == "":
		return nil, &FieldError{field + "_file", "is required (or the variable CVVD_" + strings.ToUpper(strings.ReplaceAll(field, ".", "_")) + ")"}
	}
	if err := filemode.Secret(file); err != nil {
		return nil, &FieldError{field + "_file", err.Error()}
	}
	text, err := readFile(file)
	if err != nil {
		return nil, &FieldError{field + "_file", err.Error()}
	}
	return text, nil
}

// PostgresURL returns the URL of the database.
func (c *Config) PostgresURL() (string, error) {
	return secret("store.url", c.Store.URL, c.Store.URLFile)
}

// WebhookURL returns the URL that webhooks are sent to.
func (c *Config) WebhookURL() (string, error) {
	return secret("events.webhook_url", c.Events.WebhookURL, c.Events.WebhookURLFile)
}

// WebhookSecrets returns the secrets that webhooks are signed with.
func (c *Config) WebhookSecrets() ([]webhook.Secret, error) {
	const field = "events.webhook_secret"
	text, err := secret(field, c.Events.WebhookSecret, c.Events.WebhookSecretFile)
	if err != nil {
		return nil, err
	}
	var all []webhook.Secret
	for word := range strings.FieldsSeq(text) {
		s, err := webhook.ParseSecret(word)
		if err != nil {
			return nil, &FieldError{field, err.Error()}
		}
		all = append(all, s)
	}
	if all == nil {
		return nil, &FieldError{field, "is empty"}
	}
	return all, nil
}

// NATSURL returns the URLs of the NATS servers, separated by commas.
func (c *Config) NATSURL() (string, error) {
	return secret("events.nats_url", c.Events.NATSURL, c.Events.NATSURLFile)
}

// Generator returns the generator of CVVs with its keys. It runs keys.unwrap_command if
// one is set.
func (c *Config) Generator(ctx context.Context) (engine.Generator, error) {
	text, err := c.keyFile(ctx, "keys.sealing", c.Keys.Sealing, c.Keys.SealingFile)
	if err != nil {
		return nil, err
	}
	ring, err := seal.ParseKeys(text)
	if err != nil {
		return nil, c.keyError("keys.sealing", c.Keys.Sealing, err.Error())
	}
	if c.CVV.Kind != "derived" {
		random, err := cvvgen.NewRandom(c.CVV.Digits)
		if err != nil {
			return nil, &FieldError{"cvv.digits", err.Error()}
		}
		return engine.Random(random, ring), nil
	}
	if fips140.Enforced() {
		return nil, &FieldError{"cvv.kind", `derived CVVs need DES, which GODEBUG=fips140=only forbids: set cvv.kind = "random", or start cvvd without this GODEBUG`}
	}
	text, err = c.keyFile(ctx, "cvv.cvk", c.CVV.CVK, c.CVV.CVKFile)
	if err != nil {
		return nil, err
	}
	pair, err := hex.DecodeString(text)
	if err != nil {
		return nil, c.keyError("cvv.cvk", c.CVV.CVK, "must be 32 hexadecimal digits")
	}
	defer clear(pair)
	cvk, err := cvvgen.NewCVK(pair)
	if err != nil {
		return nil, c.keyError("cvv.cvk", c.CVV.CVK, err.Error())
	}
	order, ok := expiryOrders[c.CVV.ExpiryOrder]
	if !ok {
		return nil, &FieldError{"cvv.expiry_order", "must be YYMM or MMYY"}
	}
	local, err := cvvgen.NewLocal(cvk, order, c.CVV.Digits)
	if err != nil {
		return nil, &FieldError{"cvv.digits", err.Error()}
	}
	if n := c.CVV.PANDigits; n < 8 || n > 19 {
		return nil, &FieldError{"cvv.pan_digits", "must be 8 to 19"}
	}
	options := engine.DerivedOptions{Prefixes: c.CVV.Prefixes, PANDigits: c.CVV.PANDigits, AllowCVV2Codes: c.CVV.AllowCVV2Codes}
	if wrong, ok := errors.AsType[*engine.FieldError](options.Check()); ok {
		return nil, &FieldError{"cvv.prefixes", wrong.Detail}
	}
	return engine.Derived(local, ring, options), nil
}

var expiryOrders = map[string]cvvgen.ExpiryOrder{"YYMM": cvvgen.ExpiryOrderYYMM, "MMYY": cvvgen.ExpiryOrderMMYY}
