// Package endpoint is an example: a cardholder portal that mounts the HTTP endpoint
// below its own prefix in a chi router, with its own login instead of bearer tokens.
package endpoint

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/telemetry"
)

// A Session is what the portal stores at login, by the value of a cookie.
type Session struct{ User, Account string }

// Sessions is the portal's login; Find is its own lookup.
type Sessions struct {
	Find func(ctx context.Context, cookie string) (Session, bool, error)
}

// AuthenticateRequest implements [api.Authenticator].
func (s Sessions) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	cookie, err := r.Cookie("__Host-session")
	if err != nil {
		return auth.Caller{}, auth.ErrUnauthenticated // 401
	}
	session, ok, err := s.Find(r.Context(), cookie.Value)
	if err != nil {
		return auth.Caller{}, err // 500: the session store failed
	}
	if !ok {
		return auth.Caller{}, auth.ErrUnauthenticated
	}
	return auth.Caller{
		Subject: session.User, Account: session.Account, By: "session",
		Scopes: []string{api.ScopeRead, api.ScopeRotate, api.ScopeReveal}, // what a cardholder may do
	}, nil
}

// Certificates is a login for other services, by client certificate: the callers by
// the certificate's first DNS name.
type Certificates map[string]auth.Caller

// AuthenticateRequest implements [api.Authenticator]. The server's tls.Config asks
// for certificates (tls.VerifyClientCertIfGiven) and names the CA in ClientCAs.
func (c Certificates) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates[0].DNSNames) == 0 {
		return auth.Caller{}, auth.ErrUnauthenticated
	}
	caller, ok := c[r.TLS.PeerCertificates[0].DNSNames[0]]
	if !ok {
		return auth.Caller{}, auth.ErrUnauthenticated
	}
	return caller, nil
}

// Portal returns the portal's handler on the engine.
func Portal(e *engine.Engine, login api.Authenticator, metrics *telemetry.Metrics) (http.Handler, error) {
	endpoint, err := api.New(e, login, api.Options{PerCard: api.Rate{PerSecond: 1, Burst: 10}})
	if err != nil {
		return nil, err
	}
	// Trace inside of the prefix: spans are named by the endpoint's own routes, and
	// contain no path, which names a card or may contain a PAN sent by mistake.
	traced, err := metrics.Handler(endpoint)
	if err != nil {
		return nil, err
	}
	router := chi.NewRouter()
	router.Get("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the portal's own page\n")) })
	// A browser sends the cookie with requests of other sites, too: refuse those.
	router.Mount("/issuing", http.NewCrossOriginProtection().Handler(http.StripPrefix("/issuing", traced)))
	return router, nil
}
