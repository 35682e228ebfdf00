package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/sim/must"
)

// TestAttack_Requests calls the endpoint as another account, with every scope, and
// tries paths, methods, headers and bodies to reach the victim's card.
func TestAttack_Requests(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	mallory := a.sign(t, jwt.MapClaims{"account_id": "mallory", "sub": "mallory", "scope": everyScope})
	if status, answer := a.send("PUT", a.pci+"/v1/cards/mallorys-card", mallory, `{"pan":"5123456789012346","expiry":"2087-01"}`); status != 201 {
		t.Fatal(status, answer)
	}
	before := a.state(t)
	try := func(name, raw string) {
		t.Run(name, func(t *testing.T) {
			status, answer := a.raw(t, raw)
			a.failed(t, before, status, answer)
		})
	}
	victim := "/v1/cards/" + victimCard
	for _, op := range []string{"GET /cvv", "GET /cvv/rotation", "GET /cvv/history", "POST /cvv/rotate", "PATCH /cvv/rotation", "DELETE /cvv/rotation", "POST /cvv/verify", "POST /cvv/unlock", "PUT "} {
		method, path, _ := strings.Cut(op, " ")
		body := map[string]string{"PATCH": `{"cvv_rotation_interval_hours":1}`, "PUT": `{"pan":"` + victimPAN + `","expiry":"2087-01"}`}[method]
		if path == "/cvv/verify" {
			body = `{"cvv":"` + a.cvv + `"}`
		}
		try("other account: "+op, httpRequest(method, victim+path, mallory, body))
		for name, header := range headers {
			try("other account: "+op+" with "+name, httpRequest(method, victim+path, mallory, body, header))
		}
		try("no token: "+op, httpRequest(method, victim+path, "", body))
	}
	for _, path := range paths {
		try("path: "+path, httpRequest("GET", path, mallory, ""))
	}
	for _, body := range registrations {
		try("register: "+body, httpRequest("PUT", "/v1/cards/mallorys-new-card", mallory, body))
	}
	for _, body := range reRegistrations {
		try("register the victim's card: "+body, httpRequest("PUT", victim, mallory, body))
	}
	for _, body := range rotations {
		try("rotate: "+body, httpRequest("POST", "/v1/cards/mallorys-card/cvv/rotate", mallory, body))
	}
	for _, line := range requestLines {
		try("request line: "+line, line+"\r\nHost: x\r\nAuthorization: Bearer "+mallory+"\r\nConnection: close\r\n\r\n")
	}
	for name, raw := range smuggled(mallory) {
		try("smuggled: "+name, raw)
	}
	a.finish(t, 180)
}

// httpRequest returns a request as it goes over the wire.
func httpRequest(method, path, token, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, path)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// raw sends bytes and returns all answers on the connection: the lowest status, and the
// bodies. A connection that the daemon closes without an answer counts as 400.
func (a *attacked) raw(t *testing.T, request string) (status int, answer string) {
	t.Helper()
	conn := must.Get(net.Dial("tcp", strings.TrimPrefix(a.pci, "http://")))(t)
	defer conn.Close()
	must.Do(t, conn.SetDeadline(time.Now().Add(patience)))
	if _, err := conn.Write([]byte(request)); err != nil {
		return 400, err.Error()
	}
	conn.(*net.TCPConn).CloseWrite() // fails if the daemon has closed the connection
	status = 1000
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return min(status, 400) % 1000, answer
		}
		body := make([]byte, 1<<20)
		n := 0
		for err == nil && n < len(body) {
			var more int
			more, err = response.Body.Read(body[n:])
			n += more
		}
		answer += string(body[:n])
		status = min(status, response.StatusCode)
	}
}

// headers are headers by which frameworks or proxies let a request be another one.
var headers = map[string]string{
	"an account":         "X-Account-Id: acme",
	"an identity":        "X-Forwarded-User: svc",
	"another URL":        "X-Original-URL: /v1/cards/" + victimCard + "/cvv",
	"a client address":   "X-Forwarded-For: 127.0.0.1",
	"a second token":     "Authorization: Bearer none",
	"a method":           "X-HTTP-Method-Override: GET",
	"a verified client":  "X-SSL-Client-Verify: SUCCESS",
	"a long id":          "X-Request-Id: " + strings.Repeat("a", 500),
	"an idempotency key": "Idempotency-Key: k",
}

// paths are ways to write a path that a check and a handler may read differently.
var paths = []string{
	"/v1/cards/mallorys-card/../" + victimCard + "/cvv",
	"/v1/cards/mallorys-card/%2e%2e/" + victimCard + "/cvv",
	"/v1/cards/mallorys-card/..%2f" + victimCard + "/cvv",
	"/v1/cards/mallorys-card%2f..%2f" + victimCard + "/cvv",
	"/v1/cards/mallorys-card/cvv/../../" + victimCard + "/cvv",
	"/v1//cards/" + victimCard + "/cvv",
	"//v1/cards/" + victimCard + "/cvv",
	"/v1/cards/" + victimCard + "/cvv/",
	"/v1/cards/" + victimCard + "//cvv",
	"/v1/cards/" + victimCard + "%00/cvv",
	"/v1/cards/" + victimCard + "%20/cvv",
	"/v1/cards/" + victimCard + "%0d%0aX/cvv",
	"/v1/cards/" + victimCard + ";a=b/cvv",
	"/v1/cards/" + victimCard + "/cvv?cardId=mallorys-card",
	"/v1/cards/mallorys-card/cvv?cardId=" + victimCard,
	"/v1/cards/" + victimCard + "/cvv?account_id=acme",
	"/v1/cards/" + victimCard + "/cvv?access_token=x",
	"/v1/cards/" + victimCard + "/CVV",
	"/V1/cards/" + victimCard + "/cvv",
	"/v1/cards/VICTIM-CARD/cvv",
	"/v1/cards/%76ictim-card/cvv",
	"/v1/cards/%2576ictim-card/cvv",
	"/v1/cards/victim%2dcard/cvv",
	"/v1/cards/victim-card%ef%bc%8e/cvv",
	"/v1/cards/" + victimPAN + "/cvv",
	"/v1/cards/4123-4567-8901-2345/cvv",
	"/v1/cards/*/cvv", "/v1/cards/%25/cvv", "/v1/cards/victim-car_/cvv", "/v1/cards/victim-car%25/cvv",
	"/v1/cards/'%20OR%20'1'='1/cvv", "/v1/cards/%22%3B%20DROP%20TABLE%20card%3B--/cvv",
	"/v1/cards/{cardId}/cvv", "/v1/cards/./cvv", "/v1/cards/../cvv", "/v1/cards//cvv",
	"/v1/cards/" + strings.Repeat("a", 5000) + "/cvv",
	"/metrics", "/readyz", "/healthz", "/", "/cards/" + victimCard, "/debug/pprof/", "/debug/vars", "/.git/config", "/v1/cards",
}

// registrations are bodies by which mallory's account asks for a card with the
// victim's PAN, one outside its prefixes, or values that it must not compute.
var registrations = []string{
	`{"pan":"` + victimPAN + `","expiry":"2087-01"}`,
	`{"pan":"` + victimPAN + `","expiry":"2030-01"}`,
	`{"pan":"4123456789012349","expiry":"2087-01"}`,
	`{"pan":"6011111111111117","expiry":"2087-01"}`,
	`{"pan":"5123456789012346","expiry":"2087-01"}`, // is a card already
	`{"pan":"5123456789012346","expiry":"2087-01","service_code":"101"}`,
	`{"pan":"51234567890123","expiry":"2087-01","service_code":"000"}`,
	`{"pan":"51234567890123","expiry":"2087-01","service_code":"999"}`,
	`{"pan":"51234567890123","expiry":"2087-01","account_id":"acme"}`,
	`{"pan":"` + victimPAN + `","expiry":"2087-01","account_id":"acme"}`,
	`{"pan":"51234567890123","expiry":"2087-01","pan":"` + victimPAN + `"}`,
	`{"PAN":"` + victimPAN + `","expiry":"2087-01"}`,
	`{"pan":"51 ` + victimPAN + `","expiry":"2087-01"}`,
	`{"pan":"51\u0034","expiry":"2087-01"}`,
	`{"pan":["` + victimPAN + `"],"expiry":"2087-01"}`,
	`{"pan":` + victimPAN + `,"expiry":"2087-01"}`,
	`{"pan":"` + victimPAN + `","expiry":"2087-01"}{"pan":"51234567890123"}`,
	`[{"pan":"` + victimPAN + `","expiry":"2087-01"}]`,
	`{}`, `null`, `{"pan":null,"expiry":null}`,
}

// reRegistrations are bodies by which mallory's account claims the victim's card.
var reRegistrations = []string{
	`{}`, `{"account_id":"mallory"}`, `{"account_id":"acme"}`, `{"pan":"5123456789012346","expiry":"2087-01"}`,
	`{"pan":"51234567890123","expiry":"2087-01"}`, `{"pan":"` + victimPAN + `","expiry":"2087-01"}`,
	`{"pan":"51234567890123","expiry":"2087-01","cvv_rotation_interval_hours":87600}`,
}

// rotations are bodies that must not rotate even mallory's own card.
var rotations = []string{
	`{"service_code":"000"}`, `{"service_code":"999"}`, `{"service_code":0}`, `{"service_code":"0000"}`, `{"service_code":"00"}`,
	`{"service_code":"٠٠٠"}`, `{"service_code":"000","service_code":"101"}`, `{"Service_Code":"000"}`, `{"service_code":["000"]}`,
	`{"card_id":"` + victimCard + `"}`, `{"account_id":"acme"}`, `{"compromised":"true"}`, `{"compromised":1}`,
	`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "\xff\xfe{}", "\xef\xbb\xbf{}", `{"service_code":"10` + "\x00" + `1"}`,
	strings.Repeat(" ", 1<<20) + "{}",
}

// requestLines are first lines that servers have read wrongly.
var requestLines = []string{
	"TRACE /v1/cards/" + victimCard + "/cvv HTTP/1.1",
	"CONNECT 127.0.0.1:1 HTTP/1.1",
	"get /v1/cards/" + victimCard + "/cvv HTTP/1.1",
	"GET  /v1/cards/" + victimCard + "/cvv HTTP/1.1",
	"GET http://127.0.0.1/v1/cards/" + victimCard + "/cvv HTTP/1.1",
	"GET http://x@y/v1/cards/" + victimCard + "/cvv HTTP/1.1",
	"GET /v1/cards/" + victimCard + "/cvv HTTP/0.9",
	"GET /v1/cards/" + victimCard + "/cvv HTTP/9.9",
	"GET /v1/cards/" + victimCard + "/cvv\tHTTP/1.1",
	"GET /v1/cards/" + victimCard + "/cvv#x HTTP/1.1",
	"GET \\v1\\cards\\" + victimCard + "\\cvv HTTP/1.1",
	"PRI * HTTP/2.0",
}

// smuggled are requests whose end two servers see in different places. The inner one
// asks for the victim's CVV without mallory's token, as a proxy's connection would.
func smuggled(token string) map[string]string {
	inner := "GET /v1/cards/" + victimCard + "/cvv HTTP/1.1\r\nHost: x\r\n\r\n"
	outer := "POST /v1/cards/none/cvv/rotate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\n"
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	return map[string]string{
		"length and chunks":     outer + length(len(inner)+5) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks and length":     outer + "Transfer-Encoding: chunked\r\n" + length(4) + "\r\n0\r\n\r\n" + inner,
		"two lengths":           outer + length(0) + length(len(inner)) + "\r\n" + inner,
		"chunks in disguise":    outer + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks with a space":   outer + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks twice":          outer + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + inner,
		"a folded header":       outer + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"a negative length":     outer + length(-1) + "\r\n" + inner,
		"a length with a plus":  outer + "Content-Length: +2\r\n\r\n{}" + inner,
		"a huge length":         outer + "Content-Length: 99999999999999999999\r\n\r\n{}" + inner,
		"a chunk that is huge":  outer + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n" + inner,
		"an upgrade to HTTP/2":  outer + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + inner,
		"bare line feeds":       strings.ReplaceAll(outer+length(2)+"\r\n{}"+inner, "\r\n", "\n"),
		"two requests in a row": outer + length(2) + "\r\n{}" + inner,
		"NUL in a header":       outer + "X: \x00\r\n\r\n" + inner,
	}
}
