package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the maximum length of a token in bytes.
const MaxToken = 8 << 10

// algorithms are the signature algorithms that can be configured. All of them are
// asymmetric.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Issuer says which tokens are accepted. Name, Algorithms, and either Audience or
// ClientIDs are required.
type Issuer struct {
	// Name is the value that the claim iss must have, byte for byte.
	Name string
	// Audience is a value that the claim aud must contain.
	Audience string
	// ClientIDs are the accepted values of the claim client_id, for an issuer whose
	// tokens have no aud (Options.Claims.Audience). A token with an aud is refused.
	ClientIDs []string
	// Algorithms are the accepted signature algorithms, such as RS256, ES256 and
	// EdDSA. Symmetric ones cannot be configured.
	Algorithms []string
}

// Options configure a Verifier. The zero value uses the defaults.
type Options struct {
	// Claims names the claims that are read; see Profile.
	Claims Claims
	// Leeway is the clock skew tolerated in exp, nbf and iat. Defaults to 0.
	Leeway time.Duration
	// MaxLifetime is the maximum time from iat, which is then required, to exp.
	// Defaults to 0: no maximum.
	MaxLifetime time.Duration
	// TokenType is the type that the header typ must have, such as at+jwt (RFC
	// 9068), in any case, with or without "application/". Defaults to "": typ is not
	// checked.
	TokenType string
	// Refresh is the interval between two refreshes of the key set. Defaults to 5m.
	Refresh time.Duration
	// MinRefresh is the minimum interval between two refreshes, if tokens name
	// unknown keys. Defaults to 1s.
	MinRefresh time.Duration
	// RefreshWait is how long a request with an unknown key waits for a refresh.
	// Defaults to 2s.
	RefreshWait time.Duration
	// Client loads the key set. Redirects are not followed. Defaults to a client
	// with a timeout of 5s.
	Client *http.Client
	// TLS is the TLS configuration of the default Client, for an issuer with private
	// certificate authorities. It excludes Client. Defaults to the authorities of the
	// system.
	TLS *tls.Config
	// Clock defaults to the system clock.
	Clock clock.Clock
	// Logger receives the outcome of each refresh. Defaults to none.
	Logger *slog.Logger
}

// Verifier verifies bearer tokens. Use [New] or [NewStatic] to make one.
type Verifier struct {
	issuer  Issuer
	options Options
	cache   tokenCache
	parser  *jwt.Parser
	keys    *keySet
}

// New returns a verifier with the issuer's key set from jwks: an https URL (http on
// loopback only) or the path of a file, which not every user of the machine may change.
// It is ready when Run has loaded the key set. The error matches ErrConfig.
func New(i Issuer, jwks string, o Options) (*Verifier, error) {
	load, err := loader(jwks, o)
	if err != nil {
		return nil, err
	}
	return newVerifier(i, load, o)
}

// NewStatic returns a verifier with a fixed key set, given as JSON (RFC 7517). It is
// ready immediately and does not need Run. The error matches ErrConfig.
func NewStatic(i Issuer, jwks []byte, o Options) (*Verifier, error) {
	v, err := newVerifier(i, func(context.Context) ([]byte, error) { return jwks, nil }, o)
	if err != nil {
		return nil, err
	}
	if err := v.keys.update(context.Background()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	v.keys.wait = 0 // no refresh will bring an unknown key
	return v, nil
}

func newVerifier(i Issuer, load func(context.Context) ([]byte, error), o Options) (*Verifier, error) {
	switch {
	case i.Name == "":
		return nil, fmt.Errorf("%w: Issuer.Name is required", ErrConfig)
	case len(i.Algorithms) == 0:
		return nil, fmt.Errorf("%w: Issuer.Algorithms is required: some of %s", ErrConfig, strings.Join(algorithms, ", "))
	case o.Client != nil && o.TLS != nil:
		return nil, fmt.Errorf("%w: Client and TLS exclude each other: set the TLS configuration of the Client's transport", ErrConfig)
	case o.Leeway < 0 || o.MaxLifetime < 0 || o.Refresh < 0 || o.MinRefresh < 0 || o.RefreshWait < 0:
		return nil, fmt.Errorf("%w: Leeway, MaxLifetime, Refresh, MinRefresh and RefreshWait must not be negative", ErrConfig)
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(algorithms, a) {
			return nil, fmt.Errorf("%w: Issuer.Algorithms: %q is not one of %s", ErrConfig, a, strings.Join(algorithms, ", "))
		}
	}
	var err error
	if o.Claims, err = o.Claims.complete(i); err != nil {
		return nil, err
	}
	i.Algorithms, i.ClientIDs = slices.Clone(i.Algorithms), slices.Clone(i.ClientIDs)
	o.Refresh = cmp.Or(o.Refresh, 5*time.Minute)
	o.MinRefresh = cmp.Or(o.MinRefresh, time.Second)
	o.RefreshWait = cmp.Or(o.RefreshWait, 2*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Clock = cmp.Or(o.Clock, clock.New())
	parser := jwt.NewParser(jwt.WithValidMethods(i.Algorithms), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	return &Verifier{issuer: i, options: o, keys: newKeySet(load, o), parser: parser}, nil
}

// Run loads the key set and refreshes it until ctx ends. It logs errors and tries
// again. It returns nil.
func (v *Verifier) Run(ctx context.Context) error {
	v.keys.run(ctx)
	return nil
}

// Reload asks Run to refresh the key set now, for example after an operator has
// withdrawn a key. Without it, Run does so within Options.Refresh.
func (v *Verifier) Reload() { v.keys.ask() }

// Ready reports whether a key set has been loaded.
func (v *Verifier) Ready() bool { return !v.Loaded().IsZero() }

// Loaded returns the time of the last successful refresh. It returns the zero time
// if there was none.
func (v *Verifier) Loaded() time.Time {
	ns := v.keys.loaded.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// KeyCounts returns the number of entries of the current key set by status: "used",
// or why an entry was skipped. It returns an empty map before the first key set. The
// map must not be modified.
func (v *Verifier) KeyCounts() map[string]int { return *v.keys.counts.Load() }

// Authenticate returns the token's sender. It caches accepted tokens by their hash
// until they expire or the key set changes. The error matches ErrUnauthenticated and
// one of the reasons, and is a *ClaimError if a claim was wrong; or it matches
// ErrNotReady; or it is ctx.Err().
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
	if caller, ok := v.cache.get(hash, keys, v.options.Clock.Now()); ok {
		return caller, nil
	}
	var claims payload
	parsed, err := v.parser.ParseWithClaims(token, &claims, v.key(ctx))
	if err != nil {
		if ctx.Err() != nil {
			return Caller{}, ctx.Err()
		}
		return Caller{}, v.reason(parsed, err)
	}
	if !v.isTokenType(parsed.Header["typ"]) {
		return Caller{}, claimError(ErrType, "typ")
	}
	caller, expires, err := v.sender(&claims.object)
	if err != nil {
		return Caller{}, err
	}
	v.cache.put(hash, cachedToken{caller, expires.Add(v.options.Leeway), keys})
	return caller, nil
}

// key returns a function that finds the key of a token.
func (v *Verifier) key(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		segment, _, _ := strings.Cut(t.Raw, ".")
		text, err := v.parser.DecodeSegment(segment)
		if err != nil {
			return nil, ErrMalformed
		}
		_, ok := objectOf(text)                       // no name twice
		if _, crit := t.Header["crit"]; !ok || crit { // crit is not supported, so it must be refused (RFC 7515, section 4.1.11)
			return nil, ErrMalformed
		}
		return v.keys.find(ctx, t)
	}
}

// isTokenType reports whether the header typ has the configured type. "application/"
// may be omitted (RFC 7515, section 4.1.9).
func (v *Verifier) isTokenType(typ any) bool {
	plain := func(t string) string { return strings.TrimPrefix(strings.ToLower(t), "application/") }
	text, _ := typ.(string)
	return v.options.TokenType == "" || plain(text) == plain(v.options.TokenType)
}

func (v *Verifier) reason(t *jwt.Token, err error) error {
	if t != nil && t.Header["alg"] != nil {
		if alg, _ := t.Header["alg"].(string); !slices.Contains(v.issuer.Algorithms, alg) {
			return ErrAlgorithm
		}
	}
	return reason(err)
}
