package auth

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims names the claims of a token that say who its sender is and what it may do.
// Each is one claim, without a fallback. The zero value uses the defaults.
type Claims struct {
	// Account holds the caller's account: a string, or an integer, which stands for
	// its decimal digits. Defaults to account_id.
	Account string
	// Subject holds the caller's name: a string. Defaults to sub.
	Subject string
	// Audience must match Issuer.Audience if it is aud, and one of Issuer.ClientIDs
	// if it is client_id. Defaults to aud.
	Audience string
	// Scope holds the operations granted: a string separated by spaces, or an array
	// of strings. Defaults to scope, which must then be a string, or if that is
	// absent to scp.
	Scope string
	// ScopePrefix precedes the scopes of this service, for example "api/". It is
	// removed; scopes without it are ignored. Defaults to none.
	ScopePrefix string
}

// The values of Claims.Audience.
const (
	audienceClaim = "aud"
	clientIDClaim = "client_id"
)

// profiles are the claims of access tokens as issuers make them. Where an issuer has
// no claim of its own for the account, account_id is one to be added.
var profiles = map[string]Claims{
	"keycloak": {Account: "account_id", Subject: "sub", Audience: audienceClaim, Scope: "scope"},
	"entra":    {Account: "tid", Subject: "oid", Audience: audienceClaim, Scope: "roles"},
	"auth0":    {Account: "account_id", Subject: "sub", Audience: audienceClaim, Scope: "scope"},
	"cognito":  {Account: "client_id", Subject: "sub", Audience: clientIDClaim, Scope: "scope"},
	"okta":     {Account: "cid", Subject: "sub", Audience: audienceClaim, Scope: "scp"},
}

// Profiles returns the names that Profile accepts, sorted.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// Profile returns the claims of an issuer's access tokens: keycloak, entra, auth0,
// cognito or okta. For "" it returns the zero value. The error matches ErrConfig.
func Profile(name string) (Claims, error) {
	c, ok := profiles[name]
	if !ok && name != "" {
		return Claims{}, fmt.Errorf("%w: the profile must be one of %s", ErrConfig, strings.Join(Profiles(), ", "))
	}
	return c, nil
}

// complete returns the claims with defaults, or an error if they do not fit the
// issuer.
func (c Claims) complete(i Issuer) (Claims, error) {
	c.Account = cmp.Or(c.Account, "account_id")
	c.Subject = cmp.Or(c.Subject, "sub")
	c.Audience = cmp.Or(c.Audience, audienceClaim)
	switch {
	case c.Audience == audienceClaim && (i.Audience == "" || len(i.ClientIDs) > 0):
		return c, fmt.Errorf("%w: Issuer.Audience is required, and Issuer.ClientIDs must be empty", ErrConfig)
	case c.Audience == clientIDClaim && (i.Audience != "" || len(i.ClientIDs) == 0 || slices.Contains(i.ClientIDs, "")):
		return c, fmt.Errorf("%w: Issuer.ClientIDs is required, and Issuer.Audience must be empty", ErrConfig)
	case c.Audience != audienceClaim && c.Audience != clientIDClaim:
		return c, fmt.Errorf("%w: Claims.Audience must be %s or %s", ErrConfig, audienceClaim, clientIDClaim)
	}
	return c, nil
}

// payload is the payload of a token. The methods of jwt.Claims are not used: sender
// checks the claims.
type payload struct {
	jwt.MapClaims
	object
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *payload) UnmarshalJSON(raw []byte) (err error) {
	var ok bool
	if p.object, ok = objectOf(raw); !ok {
		return ErrMalformed
	}
	return nil
}

// sender checks the claims of a token whose signature is valid. It returns the
// token's sender, and when the token expires.
func (v *Verifier) sender(o *object) (c Caller, expires time.Time, err error) {
	if err := v.checkOrigin(o); err != nil {
		return Caller{}, time.Time{}, err
	}
	if expires, err = v.checkTimes(o); err != nil {
		return Caller{}, time.Time{}, err
	}
	if o.hasAny("cnf") { // proof of possession (RFC 7800)
		return Caller{}, time.Time{}, claimError(ErrBound, "cnf")
	}
	names := &v.options.Claims
	if c.Subject = o.text(names.Subject); o.wrong || c.CheckSubject() != nil {
		return Caller{}, time.Time{}, claimError(ErrClaims, names.Subject)
	}
	if c.Account, err = accountOf(o, names.Account); err != nil {
		return Caller{}, time.Time{}, err
	}
	if c.Scopes, err = names.scopesOf(o); err != nil {
		return Caller{}, time.Time{}, err
	}
	return c, expires, nil
}

// checkOrigin checks who issued the token, and for whom.
func (v *Verifier) checkOrigin(o *object) error {
	switch issuer := o.text("iss"); {
	case issuer == "" || o.wrong:
		return claimError(ErrClaims, "iss")
	case issuer != v.issuer.Name:
		return claimError(ErrIssuer, "iss")
	}
	if v.options.Claims.Audience == clientIDClaim {
		client := o.text(clientIDClaim)
		switch {
		case o.hasAny(audienceClaim): // issued for a certain service, maybe another one
			return claimError(ErrAudience, audienceClaim)
		case client == "" || o.wrong:
			return claimError(ErrClaims, clientIDClaim)
		case !slices.Contains(v.issuer.ClientIDs, client):
			return claimError(ErrAudience, clientIDClaim)
		}
		return nil
	}
	audience := o.words(audienceClaim, false)
	switch {
	case len(audience) == 0 || o.wrong:
		return claimError(ErrClaims, audienceClaim)
	case !slices.Contains(audience, v.issuer.Audience):
		return claimError(ErrAudience, audienceClaim)
	}
	return nil
}

// checkTimes checks exp, nbf and iat, and returns when the token expires.
func (v *Verifier) checkTimes(o *object) (expires time.Time, err error) {
	now, leeway := v.options.Clock.Now(), v.options.Leeway
	if expires, err = dateOf(o, "exp"); err != nil {
		return expires, err
	}
	if expires.IsZero() {
		return expires, claimError(ErrClaims, "exp")
	}
	if !now.Before(expires.Add(leeway)) {
		return expires, claimError(ErrExpired, "exp")
	}
	notBefore, err := dateOf(o, "nbf")
	if err != nil {
		return expires, err
	}
	issued, err := dateOf(o, "iat")
	longest := v.options.MaxLifetime
	switch {
	case err != nil:
		return expires, err
	case now.Before(notBefore.Add(-leeway)):
		return expires, claimError(ErrEarly, "nbf")
	case now.Before(issued.Add(-leeway)):
		return expires, claimError(ErrEarly, "iat")
	case longest > 0 && issued.IsZero():
		return expires, claimError(ErrClaims, "iat")
	case longest > 0 && expires.Sub(issued) > longest:
		return expires, claimError(ErrLifetime, "exp")
	}
	return expires, nil
}

// maxDate is the last second of the year 2200.
var maxDate = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC).Unix() - 1

// dateOf returns a claim that is a time: whole seconds since 1970, up to the year
// 2200. It returns the zero time if the claim is absent.
func dateOf(o *object, name string) (time.Time, error) {
	if !o.hasAny(name) {
		return time.Time{}, nil
	}
	var seconds int64
	for _, c := range o.digits(name) {
		if seconds = 10*seconds + int64(c-'0'); seconds > maxDate {
			return time.Time{}, claimError(ErrClaims, name)
		}
	}
	if seconds == 0 {
		return time.Time{}, claimError(ErrClaims, name)
	}
	return time.Unix(seconds, 0), nil
}

// accountOf returns a claim that is a string or an integer, or "" if it is absent.
// An integer stands for its decimal digits, exactly; 1e3, 1.0 and -1 are refused.
func accountOf(o *object, name string) (string, error) {
	if digits := o.digits(name); digits != "" {
		return digits, nil
	}
	account := o.text(name)
	if o.wrong {
		return "", claimError(ErrClaims, name)
	}
	return account, nil
}

// scopesOf returns the operations granted. With the default it reads scope, a list
// separated by spaces (RFC 8693), or else scp, which issuers send as such a list or
// as an array.
func (c *Claims) scopesOf(o *object) ([]string, error) {
	name := c.Scope
	if name == "" {
		name = "scp"
		if o.hasAny("scope") {
			name = "scope"
			o.wrong = !o.isText(name)
		}
	}
	scopes := o.words(name, true)
	if o.wrong {
		return nil, claimError(ErrClaims, name)
	}
	if c.ScopePrefix == "" {
		return scopes, nil
	}
	own := []string{}
	for _, s := range scopes {
		if s, ok := strings.CutPrefix(s, c.ScopePrefix); ok && s != "" {
			own = append(own, s)
		}
	}
	return own, nil
}

// words returns a member that is a string or an array of strings. If split is true,
// the string is separated by spaces, and by no other white space: an issuer may accept
// that in the name of a scope.
func (o *object) words(name string, split bool) []string {
	switch {
	case o.isText(name) && split:
		return strings.FieldsFunc(o.text(name), func(r rune) bool { return r == ' ' })
	case o.isText(name):
		return []string{o.text(name)}
	case !o.hasAny(name):
		return []string{}
	}
	return o.texts(name)
}
