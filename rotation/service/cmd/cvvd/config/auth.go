package config

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"cvvrotation/rotation/service/auth"
)

// Claims returns the claims of tokens that the section [auth] names: those of the
// profile, overridden by the settings.
func (c *Config) Claims() (auth.Claims, error) {
	a := &c.Auth
	claims, err := auth.Profile(a.Profile)
	if err != nil {
		return claims, &FieldError{"auth.profile", fmt.Sprintf("must be one of %q, or empty, not %q", auth.Profiles(), a.Profile)}
	}
	override := func(claim *string, setting string) {
		if setting != "" {
			*claim = setting
		}
	}
	override(&claims.Account, a.AccountClaim)
	override(&claims.Subject, a.SubjectClaim)
	override(&claims.Scope, a.ScopeClaim)
	claims.ScopePrefix = a.ScopePrefix
	if a.Profile == "" && len(a.ClientIDs) > 0 {
		claims.Audience = "client_id"
	}
	return claims, nil
}

func (c *Config) checkAuth(p *problems) {
	a := &c.Auth
	p.need("auth.issuer", a.Issuer != "", "is required")
	p.need("auth.algorithms", len(a.Algorithms) > 0, "must name at least one algorithm, such as RS256")
	known := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	for _, name := range a.Algorithms {
		p.oneOf("auth.algorithms", name, known...)
	}
	c.checkClaims(p)
	switch {
	case a.JWKSURL == "" && a.JWKSFile == "":
		p.add(&FieldError{"auth.jwks_url", "is required (or auth.jwks_file)"})
	case a.JWKSURL != "" && a.JWKSFile != "":
		p.add(&FieldError{"auth.jwks_url", "must not be set together with jwks_file"})
	case a.JWKSFile != "":
		p.wrong("auth.jwks_file", auth.CheckKeySet(a.JWKSFile))
	default:
		p.isSafeURL("auth.jwks_url", a.JWKSURL)
		p.isPublic("auth.jwks_url", a.JWKSURL)
	}
	p.need("auth.tls_ca_file", a.TLSCAFile == "" || a.JWKSURL != "", "requires jwks_url")
	_, err := c.JWKSTLS()
	p.add(err)
	p.need("auth.max_lifetime", a.MaxLifetime.d == 0 || a.MaxLifetime.d >= time.Minute && a.MaxLifetime.d <= 8760*time.Hour, "must be 1m to 8760h, or 0s for no maximum")
	p.need("auth.token_type", a.TokenType == "" || mediaType.MatchString(a.TokenType), "must be a media type without parameters, such as at+jwt")
	p.need("auth.leeway", a.Leeway.d >= 0 && a.Leeway.d <= 5*time.Minute, "must be 0s to 5m")
}

// mediaType matches the value of a header typ. "application/" may be omitted.
var mediaType = regexp.MustCompile(`^(?i:application/)?[!#$&^_.+0-9A-Za-z-]+$`)

// separated matches a prefix that ends with a separator.
var separated = regexp.MustCompile(`^\S*[/:.]$`)

func (c *Config) checkClaims(p *problems) {
	a := &c.Auth
	claims, err := c.Claims()
	if err != nil {
		p.add(err)
		return
	}
	switch clients := len(a.ClientIDs) > 0; {
	case claims.Audience == "client_id" && a.Audience != "":
		p.add(&FieldError{"auth.audience", "must not be set for tokens without aud: auth.client_ids says which are accepted"})
	case claims.Audience == "client_id":
		p.need("auth.client_ids", clients && !slices.Contains(a.ClientIDs, ""), "must list the accepted clients: tokens of this profile have no aud")
	case clients:
		p.add(&FieldError{"auth.client_ids", "must not be set with this profile, whose tokens have aud: set auth.audience"})
	default:
		p.need("auth.audience", a.Audience != "", "is required")
	}
	p.need("auth.scope_prefix", a.ScopePrefix == "" || separated.MatchString(a.ScopePrefix), "must end with / : or . and contain no space, such as api/")
}
