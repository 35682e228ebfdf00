package endpoint_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/examples/endpoint"
	"cvvrotation/rotation/service/telemetry"
)

func TestPortal_ServesEndpointBehindItsOwnLogin(t *testing.T) {
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(memory.New(memory.Options{Clock: clock.NewMock()}), engine.Random(nil, keys), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	daily := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
	if _, _, err := e.Register(t.Context(), engine.Ref{Card: "card-1", Account: "acme"}, daily); err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewInMemoryExporter()
	metrics, err := telemetry.New(telemetry.Options{Tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))})
	if err != nil {
		t.Fatal(err)
	}
	portal, err := endpoint.Portal(e, endpoint.Sessions{Find: func(_ context.Context, cookie string) (endpoint.Session, bool, error) {
		switch cookie {
		case "alice":
			return endpoint.Session{User: "alice", Account: "acme"}, true, nil
		case "bob":
			return endpoint.Session{User: "bob", Account: "other"}, true, nil
		case "outage":
			return endpoint.Session{}, false, errors.New("session store unreachable")
		}
		return endpoint.Session{}, false, nil
	}}, metrics)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		method, path, session, site string
		status                      int
		span                        string
	}{
		"the portal's own page":      {"GET", "/", "", "", 200, ""},
		"rotate":                     {"POST", "/issuing/v1/cards/card-1/cvv/rotate", "alice", "same-origin", 200, "POST /v1/cards/{cardId}/cvv/rotate"},
		"reveal":                     {"GET", "/issuing/v1/cards/card-1/cvv", "alice", "", 200, "GET /v1/cards/{cardId}/cvv"},
		"another site's form":        {"POST", "/issuing/v1/cards/card-1/cvv/rotate", "alice", "cross-site", 403, ""},
		"no session":                 {"POST", "/issuing/v1/cards/card-1/cvv/rotate", "", "", 401, "POST /v1/cards/{cardId}/cvv/rotate"},
		"unknown session":            {"POST", "/issuing/v1/cards/card-1/cvv/rotate", "eve", "", 401, "POST /v1/cards/{cardId}/cvv/rotate"},
		"another account's card":     {"GET", "/issuing/v1/cards/card-1/cvv", "bob", "", 403, "GET /v1/cards/{cardId}/cvv"},
		"scope not granted":          {"DELETE", "/issuing/v1/cards/card-1/cvv/rotation", "alice", "same-origin", 403, "DELETE /v1/cards/{cardId}/cvv/rotation"},
		"session store unreachable":  {"GET", "/issuing/v1/cards/card-1/cvv", "outage", "", 500, "GET /v1/cards/{cardId}/cvv"},
		"a PAN for a card":           {"GET", "/issuing/v1/cards/4000000000000002/cvv", "alice", "", 400, "GET /v1/cards/{cardId}/cvv"},
		"path that does not exist":   {"GET", "/issuing/v2/4000000000000002", "alice", "", 404, "/issuing/*"},
		"path outside of the prefix": {"GET", "/v1/cards/card-1/cvv", "alice", "", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spans.Reset()
			r := httptest.NewRequest(row.method, row.path, nil)
			if row.session != "" {
				r.AddCookie(&http.Cookie{Name: "__Host-session", Value: row.session})
			}
			if row.site != "" {
				r.Header.Set("Sec-Fetch-Site", row.site)
			}
			w := httptest.NewRecorder()
			portal.ServeHTTP(w, r)
			if w.Code != row.status {
				t.Errorf("status %d, want %d: %s", w.Code, row.status, w.Body)
			}
			got := ""
			for _, s := range spans.GetSpans() {
				got += s.Name
				if all := fmt.Sprintf("%+v", s); strings.Contains(all, "card-1") || strings.Contains(all, "4000000000000002") {
					t.Errorf("the span contains the path: %s", all)
				}
			}
			if got != row.span {
				t.Errorf("spans %q, want %q", got, row.span)
			}
		})
	}
}

// TestCertificates_IdentifyCallersOverTLS: the server's own check of the certificate
// comes first, then the table of callers.
func TestCertificates_IdentifyCallersOverTLS(t *testing.T) {
	callers := endpoint.Certificates{"billing.example": {Subject: "billing", Account: "acme", By: "certificate"}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := callers.AuthenticateRequest(r)
		_, _ = fmt.Fprint(w, caller.Subject, " ", errors.Is(err, auth.ErrUnauthenticated))
	}))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"ca"}}
	caKey := newKey(t)
	ca := sign(t, template, template, caKey, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots}
	server.StartTLS()
	defer server.Close()
	for name, row := range map[string]struct {
		names []string
		want  string
	}{
		"a known service": {[]string{"billing.example"}, "billing false"},
		"an unknown name": {[]string{"other.example"}, " true"},
		"a second name":   {[]string{"other.example", "billing.example"}, " true"},
		"no name":         {[]string{}, " true"},
		"no certificate":  {nil, " true"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := server.Client().Transport.(*http.Transport).Clone()
			defer transport.CloseIdleConnections()
			if row.names != nil {
				key := newKey(t)
				leaf := sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: row.names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca, key, caKey)
				transport.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}
			}
			resp, err := (&http.Client{Transport: transport}).Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != row.want {
				t.Errorf("caller and refusal %q, %v; want %q", got, err, row.want)
			}
		})
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
