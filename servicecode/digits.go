package servicecode

import "strconv"

// Interchange is the first digit of a service code: where the card may be used,
// and with which technology. Its value is the ASCII digit, so that 0 means no
// digit. Values without a name here are reserved.
type Interchange byte

// The assigned first digits (ISO/IEC 7813).
const (
	InterchangeInternational     Interchange = '1' // international interchange
	InterchangeInternationalChip Interchange = '2' // international interchange, chip where feasible
	InterchangeNational          Interchange = '5' // national interchange only, except under bilateral agreement
	InterchangeNationalChip      Interchange = '6' // as InterchangeNational, chip where feasible
	InterchangeNone              Interchange = '7' // none, except under bilateral agreement
	InterchangeTest              Interchange = '9' // test card
)

var interchangeWords = [10]string{
	1: "international",
	2: "international, chip where feasible",
	5: "national except by bilateral agreement",
	6: "national except by bilateral agreement, chip where feasible",
	7: "no interchange except by bilateral agreement",
	9: "test",
}

// IsAssigned reports whether the standard gives the digit a meaning.
func (i Interchange) IsAssigned() bool { return words(&interchangeWords, byte(i)) != "" }

// Chip reports whether the chip is to be used where feasible, rather than the
// magnetic stripe.
func (i Interchange) Chip() bool {
	return i == InterchangeInternationalChip || i == InterchangeNationalChip
}

// International reports whether the card may be used outside its country.
func (i Interchange) International() bool {
	return i == InterchangeInternational || i == InterchangeInternationalChip
}

// National reports whether the card may be used only in its own country, except
// under bilateral agreement.
func (i Interchange) National() bool { return i == InterchangeNational || i == InterchangeNationalChip }

// String returns the meaning in words, such as "international".
func (i Interchange) String() string {
	return describe(&interchangeWords, byte(i), "interchange", "Interchange")
}

// Authorization is the second digit of a service code: how a payment is
// authorized. Its value is the ASCII digit, so that 0 means no digit. Values
// without a name here are reserved.
type Authorization byte

// The assigned second digits (ISO/IEC 7813).
const (
	AuthorizationNormal                  Authorization = '0' // by the usual rules
	AuthorizationByIssuer                Authorization = '2' // by the issuer, online
	AuthorizationByIssuerExceptBilateral Authorization = '4' // by the issuer, online, except under bilateral agreement
)

var authorizationWords = [10]string{
	0: "normal",
	2: "by issuer, online",
	4: "by issuer, online, except by bilateral agreement",
}

// IsAssigned reports whether the standard gives the digit a meaning.
func (a Authorization) IsAssigned() bool { return words(&authorizationWords, byte(a)) != "" }

// Online reports whether payments go to the issuer online, with or without an
// exception for bilateral agreements.
func (a Authorization) Online() bool {
	return a == AuthorizationByIssuer || a == AuthorizationByIssuerExceptBilateral
}

// String returns the meaning in words, such as "by issuer, online".
func (a Authorization) String() string {
	return describe(&authorizationWords, byte(a), "authorization", "Authorization")
}

// Services is the third digit of a service code: what the card pays for, and
// whether a PIN is asked for. Its value is the ASCII digit, so that 0 means no
// digit. Values without a name here are reserved.
type Services byte

// The assigned third digits (ISO/IEC 7813).
const (
	ServicesNoRestrictionsPINRequired   Services = '0' // no restrictions, PIN required
	ServicesNoRestrictions              Services = '1' // no restrictions
	ServicesGoodsAndServices            Services = '2' // goods and services only, no cash
	ServicesATMPINRequired              Services = '3' // ATM only, PIN required
	ServicesCashOnly                    Services = '4' // cash only
	ServicesGoodsAndServicesPINRequired Services = '5' // goods and services only, PIN required
	ServicesNoRestrictionsPINFeasible   Services = '6' // no restrictions, PIN where feasible
	ServicesGoodsAndServicesPINFeasible Services = '7' // goods and services only, PIN where feasible
)

var servicesWords = [10]string{
	0: "no restrictions, PIN required",
	1: "no restrictions",
	2: "goods and services only",
	3: "ATM only, PIN required",
	4: "cash only",
	5: "goods and services only, PIN required",
	6: "no restrictions, PIN where feasible",
	7: "goods and services only, PIN where feasible",
}

// IsAssigned reports whether the standard gives the digit a meaning.
func (s Services) IsAssigned() bool { return words(&servicesWords, byte(s)) != "" }

// PINRequired reports whether a PIN is required.
func (s Services) PINRequired() bool {
	return s == ServicesNoRestrictionsPINRequired || s == ServicesATMPINRequired || s == ServicesGoodsAndServicesPINRequired
}

// PINWhereFeasible reports whether a PIN is asked for wherever there is a means
// to enter it, without being required.
func (s Services) PINWhereFeasible() bool {
	return s == ServicesNoRestrictionsPINFeasible || s == ServicesGoodsAndServicesPINFeasible
}

// Unrestricted reports whether the card pays for goods and services and also
// gives cash.
func (s Services) Unrestricted() bool {
	return s == ServicesNoRestrictionsPINRequired || s == ServicesNoRestrictions || s == ServicesNoRestrictionsPINFeasible
}

// String returns the meaning in words, such as "cash only".
func (s Services) String() string {
	return describe(&servicesWords, byte(s), "services", "Services")
}

// words returns the meaning of an ASCII digit, "" if it has none.
func words(table *[10]string, digit byte) string {
	if digit < '0' || digit > '9' {
		return ""
	}
	return table[digit-'0']
}

// describe puts every value of a digit type into words, also reserved digits,
// the absent one and values that are no digit. position is the name of the digit
// in a sentence, typ the name of its Go type.
func describe(table *[10]string, digit byte, position, typ string) string {
	switch w := words(table, digit); {
	case w != "":
		return w
	case digit >= '0' && digit <= '9':
		return "reserved " + position + " digit " + string(rune(digit))
	case digit == 0:
		return "no " + position + " digit"
	}
	return typ + "(" + strconv.Itoa(int(digit)) + ")"
}
