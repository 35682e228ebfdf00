package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

// TestServer_DisconnectsSlowClients: other clients are served meanwhile. The timeouts are
// shortened.
func TestServer_DisconnectsSlowClients(t *testing.T) {
	s := newSite(t, setup{server: func(srv *http.Server) {
		if srv.ReadHeaderTimeout <= 0 || srv.ReadHeaderTimeout >= srv.ReadTimeout || srv.WriteTimeout <= srv.ReadTimeout {
			t.Error("the timeouts must grow from header to request to response")
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
		t.Errorf("version %d, want 2: a slow client rotated the card: %v", r.Version, err)
	}
	s.client.CloseIdleConnections() // else the server may close one during a request
	big := s.do(request{method: "GET", path: "/openapi.json", header: []string{"X-Filler", strings.Repeat("x", 12<<10)}})
	big.want(t, 200)
	req, _ := http.NewRequest("GET", s.url+"/openapi.json", nil)
	req.Header.Set("X-Filler", strings.Repeat("x", 32<<10))
	s.client.CloseIdleConnections()
	resp, err := s.client.Do(req)
	if err != nil {
		return // the server closed the connection while the client was sending the header
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

func TestRateLimits_CountPerCallerAndPerCardOfAnAccount(t *testing.T) {
	s := newSite(t, setup{api: api.Options{
		PerCard:   api.Rate{PerSecond: 1, Burst: 3},
		PerCaller: api.Rate{PerSecond: 2, Burst: 5},
	}})
	s.card("a", 0)
	s.card("b", 0)
	mint := func(subject, account string) string {
		return s.dev.Token(auth.Caller{Subject: subject, Account: account, Scopes: allScopes}, time.Hour)
	}
	first, second, other := mint("first", "acme"), mint("second", "acme"), mint("third", "other")
	get := func(card, token string, status int) {
		t.Helper()
		a := s.do(request{method: "GET", path: "/v1/cards/" + card + "/cvv/rotation", token: token})
		a.want(t, status)
		if status == 429 && a.header.Get("Retry-After") != "1" {
			t.Error(a.header)
		}
	}
	for range 3 {
		get("a", other, 403) // does not count for account acme
	}
	for range 3 {
		get("a", first, 200)
	}
	get("a", first, 429)  // the limit of the card
	get("a", second, 429) // the same limit, with another caller of the account
	get("b", first, 200)
	get("b", first, 429) // the limit of the caller
	get("b", second, 200)
	s.clock.add(time.Second)
	get("a", first, 200)
	get("a", first, 429)
	s.clock.add(time.Minute)
	for range 3 {
		get("a", first, 200)
	}
	get("a", first, 429)
}

// TestRateLimits_AnyAccountDoesNotEscapeLimitPerCard: neither with several accounts nor
// with several subjects. The card's account keeps its own requests.
func TestRateLimits_AnyAccountDoesNotEscapeLimitPerCard(t *testing.T) {
	s := newSite(t, setup{api: api.Options{PerCard: api.Rate{PerSecond: 1, Burst: 3}}})
	s.card("a", 0)
	s.card("b", 0)
	get := func(card string, status int, c auth.Caller) {
		t.Helper()
		s.do(request{method: "GET", path: "/v1/cards/" + card + "/cvv/rotation", token: s.dev.Token(c, time.Hour)}).want(t, status)
	}
	anyone := append([]string{api.ScopeAnyAccount}, allScopes...)
	get("a", 200, auth.Caller{Subject: "x", Account: "one", Scopes: anyone})
	get("a", 200, auth.Caller{Subject: "x", Account: "two", Scopes: anyone})
	get("a", 200, auth.Caller{Subject: "y", Scopes: anyone})
	get("a", 429, auth.Caller{Subject: "z", Account: "three", Scopes: anyone})
	get("a", 429, auth.Caller{Subject: "z", Account: "acme", Scopes: anyone})
	get("b", 200, auth.Caller{Subject: "z", Account: "three", Scopes: anyone})
	get("a", 200, auth.Caller{Subject: "x", Account: "acme", Scopes: allScopes})
}

// TestLimiter_BoundsItsMemory: it also keeps a recent key when a generation changes.
func TestLimiter_BoundsItsMemory(t *testing.T) {
	l := api.NewLimiter(api.Rate{PerSecond: 0.001, Burst: 1})
	if l.Take("x", start) != 0 || l.Take("x", start) == 0 {
		t.Fatal("a burst of 1")
	}
	for i := range 3 * api.MaxLimited {
		l.Take(fmt.Sprint(i), start)
		if i == api.MaxLimited && l.Take("x", start) == 0 {
			t.Error("a recent key was dropped")
		}
	}
	if n := l.Len(); n > 2*api.MaxLimited {
		t.Errorf("%d keys", n)
	}
	later := start.Add(time.Hour)
	l.Take("y", later)
	l.Take("y", later.Add(time.Hour))
	if n := l.Len(); n > 2 {
		t.Errorf("%d keys, hours later", n)
	}
	unlimited := api.NewLimiter(api.Rate{})
	if unlimited.Take("x", start) != 0 || unlimited.Len() != 0 {
		t.Error("a limiter without a limit keeps keys")
	}
}
