package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/internal/cardid"
	"cvvrotation/servicecode"
)

// DerivedOptions limit which CVVs a [Derived] generator computes: a caller that may
// register any PAN can reveal the CVV of any card of the issuer. The zero value
// registers no card.
type DerivedOptions struct {
	// Prefixes are the PAN prefixes of each account, by its name: 1 to
	// MaxPrefix digits each. An account registers no PAN outside of them; one
	// without an entry registers none. Cards that are registered are not
	// affected.
	Prefixes map[string][]string
	// PANDigits is the number of digits of every PAN, 8 to 19. Others are refused,
	// because PANs of two lengths share CVVs: the algorithm writes PAN, expiry and
	// service code in a row and fills up with zeros, so a shorter PAN with another
	// expiry and code gives the CVV2 of a longer one. Defaults to 16.
	PANDigits int
	// AnyPAN lets every account register every PAN, without regard to Prefixes and
	// PANDigits. Set it only if your service checks before it calls Register that
	// the PAN is the account's own. Defaults to false.
	AnyPAN bool
	// AllowCVV2Codes accepts the service codes 000 and 999 for registering and
	// rotating: with them a CVV is the card's CVV2 or iCVV. Codes that the engine
	// draws are never one of these. Defaults to false.
	AllowCVV2Codes bool
}

// MaxPrefix is the maximum length of a PAN prefix. A longer one could be a PAN, and
// prefixes are printed with the configuration.
const MaxPrefix = 11

// defaultPANDigits is the length of the PANs of most issuers.
const defaultPANDigits = 16

// Check returns a *FieldError if an account of Prefixes cannot exist, has no prefixes,
// or one that is not 1 to MaxPrefix digits, or if PANDigits is out of range.
func (o DerivedOptions) Check() error {
	if o.PANDigits != 0 && (o.PANDigits < 8 || o.PANDigits > 19) {
		return &FieldError{"PANDigits", "must be 8 to 19"}
	}
	for _, account := range slices.Sorted(maps.Keys(o.Prefixes)) {
		if err := cardid.CheckName(account); err != nil {
			return &FieldError{"Prefixes", fmt.Sprintf("account %q: %v", account, err)}
		}
		if len(o.Prefixes[account]) == 0 {
			return &FieldError{"Prefixes", fmt.Sprintf("account %q has no prefix: remove it, or add one", account)}
		}
		for _, p := range o.Prefixes[account] {
			if len(p) == 0 || len(p) > MaxPrefix || strings.Trim(p, "0123456789") != "" {
				return &FieldError{"Prefixes", fmt.Sprintf("account %q: a prefix must be 1 to %d digits", account, MaxPrefix)}
			}
		}
	}
	return nil
}

// checkPAN refuses a PAN that the account may not register.
func (o DerivedOptions) checkPAN(account string, pan cvvgen.PAN) error {
	under := func(prefix string) bool { return strings.HasPrefix(pan.Reveal(), prefix) }
	switch digits := cmp.Or(o.PANDigits, defaultPANDigits); {
	case o.AnyPAN:
		return nil
	case !slices.ContainsFunc(o.Prefixes[account], under):
		return &FieldError{"pan", "is under none of the prefixes that are configured for the account (cvv.prefixes)"}
	case len(pan.Reveal()) != digits:
		return &FieldError{"pan", fmt.Sprintf("must have %d digits, as all PANs here (cvv.pan_digits)", digits)}
	}
	return nil
}

// checkCode refuses the service codes of CVV2 and iCVV.
func (o DerivedOptions) checkCode(code servicecode.Code) error {
	if !o.AllowCVV2Codes && (code == servicecode.CVV2() || code == servicecode.ICVV()) {
		return &FieldError{"service_code", "must not be 000 or 999, which give the card's CVV2 and iCVV (cvv.allow_cvv2_codes)"}
	}
	return nil
}
