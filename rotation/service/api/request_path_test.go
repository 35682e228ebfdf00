package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cvvrotation/internal/must"
)

// TestPath_RefusesAmbiguousPaths sends paths without a client, which would clean them.
func TestPath_RefusesAmbiguousPaths(t *testing.T) {
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
		"/v1/cards/4111111111/cvv/rotation":                      200, // 10 digits are not a PAN
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
		"/v1/cards/a/cvv/rotation#x":                             404, // a fragment is not part of a request
		"*":                                                      400,
		"/v1/cards/a/cvv/%72otation":                             200,
		"/v1/cards/a/CVV/rotation":                               404,
	} {
		t.Run(path, func(t *testing.T) {
			c := must.Get(net.Dial("tcp", address))(t)
			defer c.Close()
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, token)
			resp := must.Get(http.ReadResponse(bufio.NewReader(c), nil))(t)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != want {
				t.Errorf("%d, want %d: %s", resp.StatusCode, want, body)
			}
			if strings.Contains(string(body), "411111111111") || strings.Contains(string(body), token) || strings.Contains(string(body), "X-Evil") {
				t.Errorf("the response quotes the path: %s", body)
			}
		})
	}
	for _, secret := range []string{"411111111111", "4111-1111", "4111.1111", token, "X-Evil"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log contains %s", secret)
		}
	}
}
