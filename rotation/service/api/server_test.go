package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
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
