package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the length of a token, in bytes, up to which it is looked at.
const MaxToken = 8 << 10

// maxSubject is how long a subject may be, in bytes: it is logged.
const maxSubject = 255

// algorithms are those that can be configured: the asymmetric ones.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Config is how tokens are judged. Issuer, Audience, Algorithms and JWKS are
// required.
type Config struct {
	Issuer       string        // what iss must be, to the letter
	Audience     string        // what aud must contain
	Algorithms   []string      // RS256, ES256, EdDSA …; pinned: no other is accepted
	JWKS         string        // an https URL (http for this machine alone), or the path of a file
	AccountClaim string        // the claim with the caller's account; "": account_id
	Leeway       time.Duration // by which clocks may differ, for exp, nbf and iat; 0: not at all
	Refresh      time.Duration // time between two loads of the key set; 0: 5m
	MinRefresh   time.Duration // least time between them when tokens name unknown keys; 0: 1s
	Patience     time.Duration // how long a caller waits for such a load; 0: 2s
	Client       *http.Client  // to load the key set with; redirects are not followed; nil: one with a timeout of 5s
	Clock        clock.Clock   // nil: the real one
	Logger       *slog.Logger  // nil: none
}

// Caller is who sent a token that was accepted.
type Caller struct {
	Subject string   // the claim sub; never empty
	Account string   // the account claim; "": the token has none
	Scopes  []string // the claim scope (separated by spaces) or scp (an array); not to be changed
}

// Has reports whether the caller was granted the scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Verifier verifies bearer tokens. Make one with New.
type Verifier struct {
	algorithms []string
	account    string
	leeway     time.Duration
	clock      clock.Clock
	cache      cache
	parser     *jwt.Parser
	keys       *keySet
	keyfunc    keyfunc.Keyfunc
}

// New returns a verifier, which is ready once Run has loaded the keys. The error
// matches ErrConfig.
func New(c Config) (*Verifier, error) {
	setDefaults(&c)
	load, err := loader(c.JWKS, c.Client)
	if err != nil {
		return nil, err
	}
	return newVerifier(c, load)
}

func setDefaults(c *Config) {
	setDefault(&c.AccountClaim, "account_id")
	setDefault(&c.Refresh, 5*time.Minute)
	setDefault(&c.MinRefresh, time.Second)
	setDefault(&c.Patience, 2*time.Second)
	if c.Clock == nil {
		c.Clock = clock.New()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func newVerifier(c Config, load func(context.Context) ([]byte, error)) (*Verifier, error) {
	switch {
	case c.Issuer == "":
		return nil, fmt.Errorf("%w: Issuer is required", ErrConfig)
	case c.Audience == "":
		return nil, fmt.Errorf("%w: Audience is required", ErrConfig)
	case len(c.Algorithms) == 0:
		return nil, fmt.Errorf("%w: Algorithms are required: some of %s", ErrConfig, strings.Join(algorithms, ", "))
	case c.Leeway < 0 || c.Refresh < 0 || c.MinRefresh < 0 || c.Patience < 0:
		return nil, fmt.Errorf("%w: Leeway, Refresh, MinRefresh and Patience must not be negative", ErrConfig)
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(algorithms, a) {
			return nil, fmt.Errorf("%w: algorithm %q: only asymmetric ones are accepted: %s", ErrConfig, a, strings.Join(algorithms, ", "))
		}
	}
	keys := newKeySet(c, load)
	kf, err := keyfunc.New(keyfunc.Options{Storage: keys})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &Verifier{
		algorithms: slices.Clone(c.Algorithms), account: c.AccountClaim, leeway: c.Leeway, clock: c.Clock,
		keys: keys, keyfunc: kf,
		parser: jwt.NewParser(
			jwt.WithValidMethods(c.Algorithms),
			jwt.WithIssuer(c.Issuer),
			jwt.WithAudience(c.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(c.Leeway),
			jwt.WithTimeFunc(c.Clock.Now),
			jwt.WithStrictDecoding(),
		),
	}, nil
}

// Run loads the keys, and keeps them fresh until ctx ends. It returns nil.
// Errors are logged and tried again.
func (v *Verifier) Run(ctx context.Context) error {
	v.keys.run(ctx)
	return nil
}

// Reload has Run load the keys again, for when they were changed by hand. A key that
// is withdrawn, or has another value under the id of an old one, counts no later than
// Config.Refresh anyway.
func (v *Verifier) Reload() { v.keys.ask() }

// Ready reports whether keys have been loaded.
func (v *Verifier) Ready() bool { return !v.Loaded().IsZero() }

// Loaded returns when the key set was last loaded without an error, for a metric
// of its age; the zero time is never.
func (v *Verifier) Loaded() time.Time {
	ns := v.keys.loaded.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Authenticate returns who sent the token. One that was accepted is remembered by
// its hash until it expires or the keys change. The error matches ErrToken and one of
// the reasons, ErrNotReady, or that of ctx when it ends first.
func (v *Verifier) Authenticate(ctx context.Context, token string) (Caller, error) {
	switch {
	case token == "":
		return Caller{}, ErrMissing
	case len(token) > MaxToken:
		return Caller{}, ErrMalformed
	case !v.Ready():
		return Caller{}, ErrNotReady
	}
	hash, keys := sha256.Sum256([]byte(token)), v.keys.generation.Load()
	if caller, ok := v.cache.get(hash, keys, v.clock.Now()); ok {
		return caller, nil
	}
	claims := jwt.MapClaims{}
	parsed, err := v.parser.ParseWithClaims(token, claims, v.key(ctx))
	if err != nil {
		if ctx.Err() != nil {
			return Caller{}, ctx.Err()
		}
		return Caller{}, v.reason(parsed, err)
	}
	caller, err := v.caller(claims)
	if err != nil {
		return Caller{}, err
	}
	expires, _ := claims.GetExpirationTime() // the parser has found it good
	v.cache.put(hash, entry{caller, expires.Add(v.leeway), keys})
	return caller, nil
}

// key returns the function that finds a token's key.
func (v *Verifier) key(ctx context.Context) jwt.Keyfunc {
	find := v.keyfunc.KeyfuncCtx(ctx)
	return func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok { // RFC 7515, 4.1.11: not understood, so refused
			return nil, ErrMalformed
		}
		return find(t)
	}
}

func (v *Verifier) reason(t *jwt.Token, err error) error {
	if t != nil && t.Header["alg"] != nil {
		if alg, _ := t.Header["alg"].(string); !slices.Contains(v.algorithms, alg) {
			return ErrAlgorithm
		}
	}
	return reason(err)
}

// caller reads the claims that say who it is.
func (v *Verifier) caller(claims jwt.MapClaims) (c Caller, err error) {
	if c.Subject, err = text(claims, "sub"); err != nil || c.Subject == "" || len(c.Subject) > maxSubject {
		return Caller{}, ErrClaims
	}
	if c.Account, err = text(claims, v.account); err != nil {
		return Caller{}, err
	}
	if _, ok := claims["scope"]; ok {
		scopes, err := text(claims, "scope")
		if err != nil {
			return Caller{}, err
		}
		c.Scopes = strings.Fields(scopes)
		return c, nil
	}
	switch list := claims["scp"].(type) {
	case nil:
	case string:
		c.Scopes = strings.Fields(list)
	case []any:
		for _, s := range list {
			scope, ok := s.(string)
			if !ok {
				return Caller{}, ErrClaims
			}
			c.Scopes = append(c.Scopes, scope)
		}
	default:
		return Caller{}, ErrClaims
	}
	return c, nil
}

// text returns a claim that is a string, "" when it is not there.
func text(claims jwt.MapClaims, name string) (string, error) {
	switch value := claims[name].(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	}
	return "", ErrClaims
}
