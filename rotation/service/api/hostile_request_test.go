package api_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

// issuer is a key server with RSA keys, as a real one would be.
type issuer struct {
	*httptest.Server
	keys atomic.Pointer[[]byte]
}

type rsaKey struct {
	id string
	*rsa.PrivateKey
}

func newIssuer(t testing.TB, keys ...rsaKey) *issuer {
	i := new(issuer)
	i.publish(keys...)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(*i.keys.Load()) }))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...rsaKey) {
	var list []map[string]string
	for _, k := range keys {
		b64 := base64.RawURLEncoding.EncodeToString
		list = append(list, map[string]string{"kty": "RSA", "kid": k.id, "alg": "RS256", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())})
	}
	b, _ := json.Marshal(map[string]any{"keys": list})
	i.keys.Store(&b)
}

func newRSA(t testing.TB, id string) rsaKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return rsaKey{id, k}
}

func (k rsaKey) token(t testing.TB, change jwt.MapClaims) string {
	t.Helper()
	c := jwt.MapClaims{
		"iss": "https://id.example", "aud": "cvv", "sub": "svc-1", "account_id": "acme",
		"exp": start.Add(time.Hour).Unix(), "scope": strings.Join(allScopes, " "),
	}
	for name, value := range change {
		c[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"] = k.id
	s, err := token.SignedString(k.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verifier(t testing.TB, jwks, algorithm string, o auth.Options) *auth.Verifier {
	t.Helper()
	if o.Clock == nil {
		o.Clock = newClock()
	}
	v, err := auth.New(auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{algorithm}}, jwks, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); v.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	return v
}

// Tokens that are not accepted are all told the same, and nothing happens.
func TestTokens(t *testing.T) {
	before, after, stranger := newRSA(t, "a"), newRSA(t, "b"), newRSA(t, "a")
	keys := newIssuer(t, before)
	v := verifier(t, keys.URL, "RS256", auth.Options{MinRefresh: 10 * time.Millisecond})
	s := newSite(t, setup{auth: v})
	s.card("a", 0)
	rotate := func(token string) reply {
		return s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: token})
	}
	first := rotate(before.token(t, nil)) // waits for the first key set, or is told to come again
	for first.status == 503 {
		first = rotate(before.token(t, nil))
	}
	first.want(t, 200)

	b64 := base64.RawURLEncoding.EncodeToString
	payload := strings.Split(before.token(t, nil), ".")[1]
	hs := jwt.New(jwt.SigningMethodHS256)
	hs.Claims, hs.Header["kid"] = jwt.MapClaims{"sub": "x"}, "a"
	confused, err := hs.SignedString(before.N.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var told string
	for name, token := range map[string]string{
		"expired":   before.token(t, jwt.MapClaims{"exp": start.Unix()}),
		"early":     before.token(t, jwt.MapClaims{"nbf": start.Add(time.Second).Unix()}),
		"issuer":    before.token(t, jwt.MapClaims{"iss": "https://evil.example"}),
		"audience":  before.token(t, jwt.MapClaims{"aud": "other"}),
		"no exp":    before.token(t, jwt.MapClaims{"exp": nil}),
		"stranger":  stranger.token(t, nil),
		"confused":  confused,
		"unsigned":  b64([]byte(`{"alg":"none"}`)) + "." + payload + ".",
		"kid":       rsaKey{"../b", before.PrivateKey}.token(t, nil),
		"not a JWT": "x",
		"basic":     "x y",
	} {
		a := rotate(token)
		a.want(t, 401, "unauthenticated")
		delete(a.body, "request_id")
		delete(a.header, "X-Request-Id")
		delete(a.header, "Date")
		got := fmt.Sprint(a.body, a.header)
		delete(a.header, "Content-Length")
		if told != "" && got != told {
			t.Errorf("%s is told something else: %s, not %s", name, got, told)
		}
		told = got
		if strings.Contains(s.log.String(), token) && len(token) > 10 {
			t.Errorf("%s: the token is in the log", name)
		}
	}
	a := s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: "-"})
	a.want(t, 401, "unauthenticated")
	if a.header.Get("WWW-Authenticate") != `Bearer realm="cvv"` {
		t.Error(a.header)
	}

	keys.publish(after) // the issuer changes its key
	rotate(after.token(t, nil)).want(t, 200)
	rotate(before.token(t, nil)).want(t, 401)
	if r, err := s.engine.Show(t.Context(), ref("a"), 0); err != nil || r.Version != 3 {
		t.Errorf("version %d, want 3: %v", r.Version, err)
	}
}

// Before the first key set nobody is let in, and nobody is turned away for good.
func TestNotReady(t *testing.T) {
	s := newSite(t, setup{auth: verifier(t, t.TempDir()+"/none", "RS256", auth.Options{})})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv"}).want(t, 503, "unavailable")
}

func TestAccounts(t *testing.T) {
	s := newSite(t, setup{})
	s.card("mine", 0)
	mint := func(account string, scopes ...string) string {
		return s.dev.Token(auth.Caller{Subject: "x", Account: account, Scopes: scopes}, time.Hour)
	}
	other := mint("other", allScopes...)
	any := mint("", append(allScopes, api.ScopeAnyAccount)...)
	for _, op := range api.Operations() {
		if op.Scope == "" {
			continue
		}
		r := request{method: op.Method, path: strings.Replace(op.Route, "{cardId}", "mine", 1)}
		switch {
		case op.Method == "PATCH":
			r.body = `{"cvv_rotation_interval_hours":1}`
		case strings.HasSuffix(op.Route, "verify"):
			r.body = `{"cvv":"123"}`
		case op.Method == "PUT":
			r.body = `{"account_id":"acme"}`
		}
		r.token = other
		s.do(r).want(t, 403, "other-account")
		r.token = mint("", allScopes...)
		s.do(r).want(t, 403, "scope-missing")
		r.token = mint("a/b", allScopes...)
		s.do(r).want(t, 403, "scope-missing")
		r.token = any
		if a := s.do(r); a.status > 204 {
			t.Error(a.raw)
		}
	}
	put := func(path, body, token string) reply {
		return s.do(request{method: "PUT", path: "/v1/cards/" + path, body: body, token: token})
	}
	put("new", `{"account_id":"other"}`, "").want(t, 403, "other-account")
	put("new", `{"account_id":"acme"}`, "").want(t, 201)
	put("theirs", ``, any).want(t, 400, "invalid-request", "body account_id")
	put("theirs", `{"account_id":"other"}`, any).want(t, 201)
	put("theirs", ``, "").want(t, 403, "other-account")
	put("theirs", ``, other).want(t, 200)
	put("theirs", `{"account_id":"acme"}`, any).want(t, 403, "other-account")
	put("x", `{"account_id":"a/b"}`, any).want(t, 400, "invalid-request", "body account_id")
}

// Paths are sent as they stand, without a client that tidies them.
func TestPaths(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	s.card("x:1", 0)
	s.card("4111111111", 0)
	token := s.token(allScopes...)
	address := strings.TrimPrefix(s.url, "http://")
	for path, want := range map[string]int{
		"/v1/cards/a/cvv/rotation":                               200,
		"/v1/cards/x%3A1/cvv/rotation":                           200,
		"/v1/cards/x%3a1/cvv/rotation":                           200,
		"/v1/cards/%61/cvv/rotation":                             200,
		"/v1/cards/4111111111/cvv/rotation":                      200, // 10 digits are no PAN
		s.url + "/v1/cards/a/cvv/rotation":                       200, // absolute form
		"/v1/cards//cvv/rotation":                                400,
		"//v1/cards/a/cvv/rotation":                              400,
		"/v1/cards/a/cvv/rotation/":                              400,
		"/v1/cards/a//cvv/rotation":                              400,
		"/v1/cards/./cvv/rotation":                               400,
		"/v1/cards/../cvv/rotation":                              400,
		"/v1/cards/b/../a/cvv/rotation":                          400,
		"/v1/cards/%2e%2e/cvv/rotation":                          400,
		"/v1/cards/%2E/cvv/rotation":                             400,
		"/v1/cards/a%2Fcvv/rotation":                             400,
		"/v1/cards/a%2fb/cvv/rotation":                           400,
		"/v1/cards/b%2F..%2Fa/cvv/rotation":                      400,
		"/v1%2Fcards/a/cvv/rotation":                             400,
		"/v1/cards/a%5Cb/cvv/rotation":                           400,
		`/v1/cards/a\b/cvv/rotation`:                             400,
		"/v1/cards/a%00/cvv/rotation":                            400,
		"/v1/cards/a%0d%0aX-Evil:1/cvv/rotation":                 400,
		"/v1/cards/a%20/cvv/rotation":                            400,
		"/v1/cards/%C3%A4/cvv/rotation":                          400,
		"/v1/cards/%ff/cvv/rotation":                             400,
		"/v1/cards/.a/cvv/rotation":                              400,
		"/v1/cards/a;b/cvv/rotation":                             400,
		"/v1/cards/a%25/cvv/rotation":                            400,
		"/v1/cards/a%2561/cvv/rotation":                          400,
		"/v1/cards/411111111111/cvv/rotation":                    400,
		"/v1/cards/4111111111111111/cvv/rotation":                400,
		"/v1/cards/%34111111111111111/cvv/rotation":              400,
		"/v1/cards/4111-1111-1111-1111/cvv/rotation":             400,
		"/v1/cards/4111.1111.1111.1111/cvv/rotation":             400,
		"/v1/cards/" + strings.Repeat("a", 65) + "/cvv/rotation": 400,
		"/v1/cards/" + strings.Repeat("a", 64) + "/cvv/rotation": 404,
		"/v1/cards/a/cvv/rotation?slots=1&slots=2":               400,
		"/v1/cards/a/cvv/rotation?Slots=1":                       400,
		"/v1/cards/a/cvv/rotation?slots=":                        400,
		"/v1/cards/a/cvv/rotation?slots=-1":                      400,
		"/v1/cards/a/cvv/rotation?slots=1001":                    400,
		"/v1/cards/a/cvv/rotation?slots=99999999999999999999":    400,
		"/v1/cards/a/cvv/rotation?slots=0":                       200,
		"/v1/cards/a/cvv/rotation?slots=%zz":                     400,
		"/v1/cards/a/cvv/rotation?a;b":                           400,
		"/v1/cards/a/cvv/rotation?access_token=" + token:         400,
		"/v1/cards/a/cvv/rotation?4111111111111111":              400,
		"/v1/cards/a/cvv/rotation#x":                             404, // a fragment is no part of a request
		"*":                                                      400,
		"/v1/cards/a/cvv/%72otation":                             200,
		"/v1/cards/a/CVV/rotation":                               404,
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, token)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(path, err)
		}
		body, _ := io.ReadAll(resp.Body)
		c.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d: %s", path, resp.StatusCode, want, body)
		}
		if strings.Contains(string(body), "411111111111") || strings.Contains(string(body), token) || strings.Contains(string(body), "X-Evil") {
			t.Errorf("%s comes back: %s", path, body)
		}
	}
	for _, secret := range []string{"411111111111", "4111-1111", "4111.1111", token, "X-Evil"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func TestBodies(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	rotate, rotation, verify := "POST /v1/cards/a/cvv/rotate", "PATCH /v1/cards/a/cvv/rotation", "POST /v1/cards/a/cvv/verify"
	for _, test := range []struct{ to, body, field string }{
		{rotate, `{"service_code":201}`, "body service_code"},
		{rotate, `{"service_code":"20"}`, "body service_code"},
		{rotate, `{"service_code":"２０１"}`, "body service_code"},
		{rotate, `{"service_code":null}`, "body service_code"},
		{rotate, `{"service_code":["201"]}`, "body service_code"},
		{rotate, `{"Service_Code":"201"}`, "body Service_Code"},
		{rotate, `{"service_code":"201","service_code":"202"}`, "body service_code"},
		{rotate, `{"service_code":"201","service\u005fcode":"202"}`, "body service_code"},
		{rotate, `{"compromised":"true"}`, "body compromised"},
		{rotate, `{"compromised":1}`, "body compromised"},
		{rotate, `{"compromised":null,"x":1,"service_code":1}`, "body compromised, body x, body service_code"},
		{rotate, `{"4111111111111111":1}`, "body (a member)"},
		{rotate, `{"":1}`, "body (a member)"},
		{rotate, `{"` + strings.Repeat("x", 41) + `":1}`, "body (a member)"},
		{rotate, `[]`, ""}, {rotate, `"201"`, ""}, {rotate, `null`, ""}, {rotate, `{`, ""}, {rotate, `{}}`, ""},
		{rotate, `{} {}`, ""}, {rotate, `{"service_code"}`, ""}, {rotate, `{"service_code":"201",}`, ""}, {rotate, `{'a':1}`, ""},
		{rotate, "{\"service_code\":\"\xff01\"}", ""}, {rotate, "\xef\xbb\xbf{}", ""}, {rotate, "{\"a\":\"\x00\"}", ""}, {rotate, " ", ""},
		{rotate, strings.Repeat("[", api.MaxBody), ""}, {rotate, `{"a":` + strings.Repeat("[", api.MaxBody-5), ""},
		{rotate, `{"compromised":tru`, ""}, {rotate, `{"service_code":"201`, ""}, {rotate, `{"service_code":"\ud800"}`, ""},
		{rotation, `{}`, "body cvv_rotation_interval_hours"},
		{rotation, ``, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":0}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":-1}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":1.5}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":1e3}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":"24"}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":null}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":87601}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":5124095576030432}`, "body cvv_rotation_interval_hours"}, // 1 h after an overflow
		{rotation, `{"cvv_rotation_interval_hours":99999999999999999999}`, "body cvv_rotation_interval_hours"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-22T15:00:00Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T15:00:00.000000001Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T25:00:00Z"}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":1795446000}`, "body cvv_first_rotation_date"},
		{rotation, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T03:00:00Z","spread":true}`, "body cvv_first_rotation_date"},
		{verify, `{}`, "body cvv"}, {verify, ``, "body cvv"}, {verify, `{"cvv":123}`, "body cvv"}, {verify, `{"cvv":"12"}`, "body cvv"},
		{verify, `{"cvv":"123456"}`, "body cvv"}, {verify, `{"cvv":"12a"}`, "body cvv"}, {verify, `{"cvv":null}`, "body cvv"}, {verify, `{"cvv":""}`, "body cvv"},
		{"PUT /v1/cards/a", `{"expiry":"1127"}`, "body expiry"}, {"PUT /v1/cards/a", `{"expiry":"2027-13"}`, "body expiry"},
		{"PUT /v1/cards/a", `{"pan":"4111"}`, "body pan"}, {"PUT /v1/cards/a", `{"pan":4111111111111111}`, "body pan"},
		{"PUT /v1/cards/a", `{"spread":true}`, "body cvv_rotation_interval_hours"},
		{"POST /v1/cards/a/cvv/unlock", `{"a":1}`, "body a"},
	} {
		method, path, _ := strings.Cut(test.to, " ")
		a := s.do(request{method: method, path: path, body: test.body})
		if test.field == "" {
			a.want(t, 400, "invalid-request")
		} else {
			a.want(t, 400, "invalid-request", test.field)
		}
		if t.Failed() {
			t.Fatalf("%s %q", test.to, test.body)
		}
		if strings.Contains(a.raw, "4111") {
			t.Errorf("%q comes back: %s", test.body, a.raw)
		}
	}
	for _, header := range [][]string{
		{"Content-Type", ""}, {"Content-Type", "text/json"}, {"Content-Type", "application/json; charset=latin1"},
		{"Content-Type", "application/merge-patch+json"}, {"Content-Type", "application/json, text/plain"}, {"Content-Encoding", "gzip"},
	} {
		s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{}`, header: header}).want(t, 415, "unsupported-content-type")
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{}`, header: []string{"Content-Type", "application/json; charset=UTF-8"}}).want(t, 200)
	for _, key := range []string{strings.Repeat("k", 256), "ключ"} {
		s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: []string{"Idempotency-Key", key}}).want(t, 400, "invalid-request", "header Idempotency-Key")
	}
	for _, keys := range [][]string{{"k", "k"}, {""}} {
		req, _ := http.NewRequest("POST", s.url+"/v1/cards/a/cvv/rotate", nil)
		req.Header = http.Header{"Authorization": {"Bearer " + s.token(allScopes...)}, "Idempotency-Key": keys}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("idempotency keys %q: %d", keys, resp.StatusCode)
		}
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: strings.Repeat(" ", api.MaxBody-2) + "{}"}).want(t, 200)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: strings.Repeat(" ", api.MaxBody-1) + "{}"}).want(t, 413, "body-too-large")
}

// Clients that take their time run into the server's limits, which here are a
// fraction of what they are, and others are served meanwhile.
func TestSlowClients(t *testing.T) {
	s := newSite(t, setup{server: func(srv *http.Server) {
		if srv.ReadHeaderTimeout <= 0 || srv.ReadHeaderTimeout >= srv.ReadTimeout || srv.WriteTimeout <= srv.ReadTimeout {
			t.Error("a header has less time than a request, and that less than its answer")
		}
		srv.ReadHeaderTimeout /= 50
		srv.ReadTimeout /= 50
		srv.WriteTimeout /= 50
		srv.IdleTimeout /= 500
	}})
	s.card("a", 0)
	token := s.token(allScopes...)
	head := "POST /v1/cards/a/cvv/rotate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n"
	var wg sync.WaitGroup
	for name, sent := range map[string]string{
		"nothing":      "",
		"half a line":  "POST /v1/ca",
		"half a head":  head,
		"half a body":  head + "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"",
		"endless body": head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"idle":         "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		wg.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, sent)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Errorf("%s: the connection is still open", name)
			}
		})
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate"}).want(t, 200)
	wg.Wait()
	if r, err := s.engine.Show(t.Context(), ref("a"), 0); err != nil || r.Version != 2 {
		t.Errorf("version %d, want 2: a slow client has rotated: %v", r.Version, err)
	}
	s.client.CloseIdleConnections() // before the server does, in the middle of a request
	big := s.do(request{method: "GET", path: "/openapi.json", header: []string{"X-Filler", strings.Repeat("x", 12<<10)}})
	big.want(t, 200)
	req, _ := http.NewRequest("GET", s.url+"/openapi.json", nil)
	req.Header.Set("X-Filler", strings.Repeat("x", 32<<10))
	s.client.CloseIdleConnections()
	resp, err := s.client.Do(req)
	if err != nil {
		return // the server closed the connection while the header was still being sent
	}
	resp.Body.Close()
	if resp.StatusCode != 431 {
		t.Errorf("32 KiB of header: %d", resp.StatusCode)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
