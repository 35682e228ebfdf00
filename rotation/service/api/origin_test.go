package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/sim/must"
)

func TestOrigin_BelievesTrustedProxiesAlone(t *testing.T) {
	trusted := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("fd00:1::/64"), netip.MustParsePrefix("fe80::/10"),
	}
	for name, row := range map[string]struct {
		peer        string
		headers     []string
		from, proxy string
	}{
		"no proxy":                        {"203.0.113.9:5000", nil, "203.0.113.9", ""},
		"spoofed by a caller":             {"203.0.113.9:5000", []string{"198.51.100.1"}, "203.0.113.9", ""},
		"claims to be a proxy":            {"203.0.113.9:5000", []string{"10.0.0.1"}, "203.0.113.9", ""},
		"just outside the prefix":         {"10.0.1.1:5000", []string{"198.51.100.1"}, "10.0.1.1", ""},
		"proxy":                           {"10.0.0.1:5000", []string{"203.0.113.9"}, "203.0.113.9", "10.0.0.1"},
		"proxy by its address":            {"192.0.2.1:5000", []string{"203.0.113.9"}, "203.0.113.9", "192.0.2.1"},
		"next to its address":             {"192.0.2.2:5000", []string{"203.0.113.9"}, "192.0.2.2", ""},
		"proxy as a mapped address":       {"[::ffff:10.0.0.1]:5000", []string{"::ffff:203.0.113.9"}, "203.0.113.9", "10.0.0.1"},
		"proxy without the header":        {"10.0.0.1:5000", nil, "10.0.0.1", ""},
		"empty header":                    {"10.0.0.1:5000", []string{""}, "10.0.0.1", ""},
		"spoofed through a proxy":         {"10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9", "10.0.0.1"},
		"spoofed as a proxy":              {"10.0.0.1:5000", []string{"10.0.0.7, 203.0.113.9"}, "203.0.113.9", "10.0.0.1"},
		"two proxies":                     {"10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", "10.0.0.1"},
		"several headers":                 {"10.0.0.1:5000", []string{"198.51.100.1", "203.0.113.9", "10.0.0.2"}, "203.0.113.9", "10.0.0.1"},
		"several headers and lists":       {"10.0.0.1:5000", []string{"198.51.100.1,203.0.113.9", " 10.0.0.3 ,\t10.0.0.2"}, "203.0.113.9", "10.0.0.1"},
		"proxies alone":                   {"10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", "10.0.0.1"},
		"the proxy itself":                {"10.0.0.1:5000", []string{"10.0.0.1"}, "10.0.0.1", ""},
		"garbage":                         {"10.0.0.1:5000", []string{"unknown"}, "10.0.0.1", ""},
		"garbage left of the caller":      {"10.0.0.1:5000", []string{"' OR 1=1, 203.0.113.9"}, "203.0.113.9", "10.0.0.1"},
		"garbage left of a proxy":         {"10.0.0.1:5000", []string{"203.0.113.9, _hidden, 10.0.0.2"}, "10.0.0.2", "10.0.0.1"},
		"empty entry left of a proxy":     {"10.0.0.1:5000", []string{"203.0.113.9,, 10.0.0.2"}, "10.0.0.2", "10.0.0.1"},
		"empty entry at the end":          {"10.0.0.1:5000", []string{"203.0.113.9,"}, "10.0.0.1", ""},
		"octets with leading zeros":       {"10.0.0.1:5000", []string{"203.0.113.009"}, "10.0.0.1", ""},
		"a number":                        {"10.0.0.1:5000", []string{"3405803785"}, "10.0.0.1", ""},
		"host name":                       {"10.0.0.1:5000", []string{"localhost"}, "10.0.0.1", ""},
		"quoted":                          {"10.0.0.1:5000", []string{`"203.0.113.9"`}, "10.0.0.1", ""},
		"with a port":                     {"10.0.0.1:5000", []string{"203.0.113.9:4711"}, "203.0.113.9", "10.0.0.1"},
		"with a bad port":                 {"10.0.0.1:5000", []string{"203.0.113.9:x"}, "10.0.0.1", ""},
		"IPv6":                            {"[fd00:1::1]:5000", []string{"2001:db8::9"}, "2001:db8::9", "fd00:1::1"},
		"IPv6 outside the prefix":         {"[fd00:2::1]:5000", []string{"2001:db8::9"}, "fd00:2::1", ""},
		"IPv6 in brackets":                {"10.0.0.1:5000", []string{"[2001:DB8::9]"}, "2001:db8::9", "10.0.0.1"},
		"IPv6 in brackets with a port":    {"10.0.0.1:5000", []string{"[2001:db8::9]:4711"}, "2001:db8::9", "10.0.0.1"},
		"IPv6 with a zone":                {"10.0.0.1:5000", []string{"fe80::1%eth0"}, "fe80::1", "10.0.0.1"},
		"zone of any text":                {"10.0.0.1:5000", []string{"fe80::1%\" injected"}, "fe80::1", "10.0.0.1"},
		"peer with a zone is not trusted": {"[fe80::1%eth0]:5000", []string{"203.0.113.9"}, "fe80::1%eth0", ""},
		"no address":                      {"@", []string{"203.0.113.9"}, "", ""},
		"no port":                         {"203.0.113.9", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = row.peer, row.headers
			if from, proxy := api.OriginOf(r, trusted); from != row.from || proxy != row.proxy {
				t.Errorf("from %q, proxy %q; want %q, %q", from, proxy, row.from, row.proxy)
			}
			peer := strings.Trim(strings.TrimSuffix(row.peer, ":5000"), "[]")
			if from, proxy := api.OriginOf(r, nil); from != "" && from != strings.TrimPrefix(peer, "::ffff:") || proxy != "" {
				t.Errorf("without trusted proxies: from %q, proxy %q", from, proxy)
			}
		})
	}
}

// TestOrigin_IsInBothLogs: the logs name the caller behind a trusted proxy, and the
// proxy, whether the call is accepted or not.
func TestOrigin_IsInBothLogs(t *testing.T) {
	s := newSite(t, setup{api: api.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
	s.card("a", 0)
	forwarded := []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9"}
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", header: forwarded}).want(t, 200)
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "-", header: forwarded}).want(t, 401)
	for name, records := range map[string][]map[string]any{"log": s.log.Records(t), "audit log": s.audit.Records(t)} {
		if len(records) != 2 {
			t.Errorf("%s: %d records", name, len(records))
		}
		for _, r := range records {
			if r["from"] != "203.0.113.9" || r["proxy"] != "127.0.0.1" {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
}

// issue returns a certificate of its own authority.
func issue(t *testing.T, subject pkix.Name, names ...string) tls.Certificate {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0a1b2c), Subject: subject, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der := must.Get(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must.Get(x509.ParseCertificate(der))(t)}
}

// TestOrigin_NamesVerifiedClientCertificate: a certificate that the server asked for
// but did not verify is anybody's claim.
func TestOrigin_NamesVerifiedClientCertificate(t *testing.T) {
	for name, row := range map[string]struct {
		auth    tls.ClientAuthType
		subject pkix.Name
		names   []string
		want    string
	}{
		"common name":       {tls.RequireAndVerifyClientCert, pkix.Name{CommonName: "svc-1"}, []string{"svc.example"}, "svc-1"},
		"DNS name":          {tls.RequireAndVerifyClientCert, pkix.Name{}, []string{"svc.example", "other.example"}, "svc.example"},
		"unprintable name":  {tls.RequireAndVerifyClientCert, pkix.Name{CommonName: "svc\n1"}, []string{"svc.example"}, "svc.example"},
		"PAN as a name":     {tls.RequireAndVerifyClientCert, pkix.Name{CommonName: "4111111111111111"}, nil, "411111xxxxxx1111"},
		"no name":           {tls.RequireAndVerifyClientCert, pkix.Name{}, nil, ""},
		"not verified":      {tls.RequireAnyClientCert, pkix.Name{CommonName: "svc-1"}, nil, "-"},
		"verified if given": {tls.VerifyClientCertIfGiven, pkix.Name{CommonName: "svc-1"}, nil, "svc-1"},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := issue(t, row.subject, row.names...)
			s := newSite(t, setup{})
			s.card("a", 0)
			secure := httptest.NewUnstartedServer(must.Get(api.New(s.engine, s.dev, api.Options{Clock: s.clock, Logger: s.log.JSON(), Audit: s.audit.JSON()}))(t))
			roots := x509.NewCertPool()
			roots.AddCert(certificate.Leaf)
			secure.TLS = &tls.Config{ClientAuth: row.auth, ClientCAs: roots}
			secure.StartTLS()
			t.Cleanup(secure.Close)
			s.url, s.client = secure.URL, secure.Client()
			s.client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{certificate}
			s.do(request{method: "GET", path: "/v1/cards/a/cvv"}).want(t, 200)
			s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "-"}).want(t, 401)
			sum := sha256.Sum256(certificate.Certificate[0])
			var want any = map[string]any{"name": row.want, "serial": "0A1B2C", "sha256": hex.EncodeToString(sum[:])}
			switch row.want {
			case "":
				delete(want.(map[string]any), "name")
			case "-":
				want = nil
			}
			records := append(s.log.Records(t), s.audit.Records(t)...)
			if len(records) != 4 {
				t.Errorf("%d records", len(records))
			}
			for _, r := range records {
				must.Equal(t, want, r["client_certificate"])
			}
		})
	}
}
