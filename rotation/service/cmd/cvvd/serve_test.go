package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

const issuer = "https://id.example"

var signer = sync.OnceValue(func() ed25519.PrivateKey {
	_, key, _ := ed25519.GenerateKey(nil)
	return key
})

// jwks is the issuer's key set.
func jwks(t *testing.T) string {
	t.Helper()
	x := base64.RawURLEncoding.EncodeToString(signer().Public().(ed25519.PublicKey))
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","use":"sig","x":%q}]}`, x)
}

func token(t *testing.T, scope string) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": issuer, "aud": "cvv", "sub": "tester", "account_id": "acme", "scope": scope,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	unsigned.Header["kid"] = "k1"
	text, err := unsigned.SignedString(signer())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGraceful: a request that is under way when the signal comes is answered,
// while /readyz already says no; and what it did is durable.
func TestGraceful(t *testing.T) {
	t.Parallel()
	env := settings(t)
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
		t.Fatal(status, body)
	}
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", token(t, ""), ""); status != 403 {
		t.Error(status, body)
	}

	conn, err := net.Dial("tcp", strings.TrimPrefix(p.pci, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"service_code":"620"}`
	fmt.Fprintf(conn, "POST /v1/cards/a/cvv/rotate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", auth, len(body))
	until(t, "the request is under way", func() bool {
		_, metrics := p.get(p.ops + "/metrics")
		return strings.Contains(metrics, "cvv_http_in_flight_requests 1\n")
	})
	p.signal(syscall.SIGTERM)
	until(t, "it is not ready", func() bool {
		status, why := p.get(p.ops + "/readyz")
		return status == 503 && strings.Contains(why, "shutting down")
	})
	if status, _ := p.get(p.ops + "/healthz"); status != 200 {
		t.Errorf("not healthy while it shuts down: %d", status)
	}
	until(t, "it takes no more requests", func() bool {
		other, err := net.Dial("tcp", strings.TrimPrefix(p.pci, "http://"))
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body[1:])
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	<-p.done
	if p.err != nil {
		t.Fatalf("ended with %v", p.err)
	}
	if out := operator(t, env, "card", "show", "a"); !strings.Contains(out, "version 2, service code 620") {
		t.Error(out)
	}
	if log := p.log.String(); strings.Contains(log, auth) || strings.Contains(log, auth[strings.LastIndexByte(auth, '.'):]) {
		t.Error("a token is in the log")
	}
}

// TestAnAnswerHasTime: a request may take as long as limits.request says, and the
// server does not hang up before it is answered.
func TestAnAnswerHasTime(t *testing.T) {
	t.Parallel()
	for _, request := range []time.Duration{10 * time.Second, 5 * time.Minute} {
		c := newCLI(nil, io.Discard, io.Discard, []string{
			"CVVD_LISTEN_PCI=127.0.0.1:0", "CVVD_LISTEN_OPS=127.0.0.1:0", "CVVD_LIMITS_REQUEST=" + request.String(),
		})
		cfg, err := c.load(t.Context(), &configFlags{dev: true, devDir: t.TempDir()}, config.All)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.build(t.Context(), cfg, true, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if d.pci.WriteTimeout < request+5*time.Second {
			t.Errorf("of %v, the server hangs up after %v", request, d.pci.WriteTimeout)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSecondSignal: who does not want to wait sends the signal again; and a
// shutdown that takes too long ends by itself. Both are failures.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"second signal": "", "too long": "CVVD_LISTEN_SHUTDOWN=1s"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, settings(t, "CVVD_LIMITS_REQUEST=60s", more), "serve").serving()
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.pci, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "PUT /v1/cards/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", token(t, "cards:register"))
			until(t, "the request is under way", func() bool {
				_, metrics := p.get(p.ops + "/metrics")
				return strings.Contains(metrics, "cvv_http_in_flight_requests 1\n")
			})
			p.signal(syscall.SIGTERM)
			p.wait(p.log, "shutting down")
			want := "took too long"
			if more == "" {
				p.signal(syscall.SIGTERM)
				want = "by a second signal"
			}
			<-p.done
			if exitCode(p.err) != command.Failed || !strings.Contains(p.log.String(), want) {
				t.Errorf("ended with %v", p.err)
			}
		})
	}
}

// TestSIGKILL kills the daemon again and again while callers force one card, and
// finds everything that was answered.
func TestSIGKILL(t *testing.T) {
	t.Parallel()
	env := settings(t, "CVVD_LIMITS_CARD_PER_SECOND=0", "CVVD_LIMITS_CALLER_PER_SECOND=0")
	auth := token(t, "cards:register cvv:rotate")
	answered := 0
	for round := range 5 {
		p := start(t, env, "serve").serving()
		if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 && status != 200 {
			t.Fatal(status, body)
		}
		var mu sync.Mutex
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for {
					status, _, err := p.try("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, "")
					if err != nil {
						return
					}
					mu.Lock()
					if status == 200 {
						answered++
					}
					mu.Unlock()
				}
			})
		}
		until(t, "some are answered", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return answered >= 25*(round+1)
		})
		p.end(syscall.SIGKILL)
		callers.Wait()
	}
	out := operator(t, env, "card", "show", "a", "-o", "json")
	_, after, _ := strings.Cut(out, `"version":`)
	var version int
	fmt.Sscan(strings.SplitN(after, ",", 2)[0], &version)
	if version < 1+answered || version > 1+answered+5*4 {
		t.Errorf("version %d after %d answers, with up to 4 more unanswered at each of 5 kills", version, answered)
	}
	if n := strings.Count(operator(t, env, "events", "tail"), `"operation_type":"ROTATE_CVV"`); n != version-1 {
		t.Errorf("%d events of %d rotations", n, version-1)
	}
}

// TestTLS: the PCI side with client certificates; a new certificate is taken at
// SIGHUP, and so is a file of events that was moved away.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caKey := certify(t, dir, "ca", nil, nil)
	certify(t, dir, "server", ca, caKey)
	certify(t, dir, "client", ca, caKey)
	events := filepath.Join(dir, "events.jsonl")
	at := func(name string) string { return filepath.Join(dir, name) }
	p := start(t, settings(t, "CVVD_LISTEN_TLS_CERT_FILE="+at("server.pem"), "CVVD_LISTEN_TLS_KEY_FILE="+at("server.key"),
		"CVVD_LISTEN_CLIENT_CA_FILE="+at("ca.pem"), "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE="+events), "serve").serving()
	if !strings.HasPrefix(p.pci, "https://") {
		t.Fatal(p.pci)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair, err := tls.LoadX509KeyPair(at("client.pem"), at("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	var serial *big.Int
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair},
		VerifyConnection: func(s tls.ConnectionState) error { serial = s.PeerCertificates[0].SerialNumber; return nil }}}
	p.client.Transport = transport
	auth := token(t, "cards:register cvv:rotate")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, `{"cvv_rotation_interval_hours":24}`); status != 201 {
		t.Fatal(status, body)
	}
	before := serial

	transport.TLSClientConfig.Certificates = nil
	if status, _, err := p.try("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); err == nil {
		t.Errorf("without a client certificate: %d", status)
	}
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}

	until(t, "the first event is delivered", func() bool { _, err := os.Stat(events); return err == nil && len(readEvents(t, events)) == 1 })
	if err := os.Rename(events, events+".1"); err != nil {
		t.Fatal(err)
	}
	certify(t, dir, "server", ca, caKey)
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "the file of events was opened again")
	if status, body := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
		t.Fatal(status, body)
	}
	if serial.Cmp(before) == 0 {
		t.Error("SIGHUP did not bring the new certificate")
	}
	until(t, "the second event is delivered", func() bool { return len(readEvents(t, events)) == 1 })

	// A certificate that can't be read leaves the one before.
	if err := os.WriteFile(at("server.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "the one before stays")
	if status, _ := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
		t.Error(status)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// certify writes a certificate and its key; without a parent it is an authority.
func certify(t *testing.T, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: parent == nil}
	if parent == nil {
		parent, parentKey = template, key
		template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// TestSupervisor: systemd is told of readiness, life and the end.
func TestSupervisor(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "cvvd") // short enough for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := start(t, settings(t, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=100000"), "serve")
	said := map[string]int{}
	listen := func(until func() bool) {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 100); !until(); {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("%v: %v", said, err)
			}
			said[string(b[:n])]++
		}
	}
	listen(func() bool { return said["READY=1"] == 1 && said["WATCHDOG=1"] > 2 })
	p.signal(syscall.SIGTERM)
	listen(func() bool { return said["STOPPING=1"] == 1 })
	<-p.done
	if p.err != nil {
		t.Error(p.err)
	}
}

// TestAbort: what ends a daemon that hangs gets to know where, and nothing else.
func TestAbort(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), "serve").serving()
	var status *exec.ExitError
	if err := p.end(syscall.SIGABRT); !errors.As(err, &status) || status.ExitCode() != command.Failed {
		t.Error(err)
	}
	log := p.log.String()
	for _, want := range []string{"error: aborted", "main.(*daemon).run", "engine.(*Engine).Run", "/daemon.go:"} {
		if !strings.Contains(log, want) {
			t.Errorf("it does not tell of %s:\n%s", want, log)
		}
	}
	if values := regexp.MustCompile(`rax |\(0x|\{0x`).FindString(log); values != "" {
		t.Errorf("it shows values: %q:\n%s", values, log)
	}
}

// TestTracesArrive: with an endpoint configured, the spans of a request and of
// its store calls arrive before the daemon ends.
func TestTracesArrive(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var received int
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		received++
	}))
	defer receiver.Close()
	p := start(t, settings(t, "CVVD_TRACING_ENDPOINT="+receiver.URL+"/v1/traces"), "serve").serving()
	p.send("PUT", p.pci+"/v1/cards/a", token(t, "cards:register"), "")
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if received == 0 {
		t.Error("no traces")
	}
}

// TestPortTaken: what can't be served ends at once, and leaves nothing running.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, variable := range []string{"CVVD_LISTEN_PCI", "CVVD_LISTEN_OPS"} {
		p := start(t, settings(t, variable+"="+l.Addr().String()), "serve")
		<-p.done
		if exitCode(p.err) != command.Failed || !strings.Contains(p.log.String(), "address already in use") {
			t.Errorf("%v: %s", p.err, p.log)
		}
	}
}

// TestAlerts: what the alerts and the page about them ask for is there.
func TestAlerts(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), "serve").serving()
	auth := token(t, "cards:register cvv:rotate")
	p.send("PUT", p.pci+"/v1/cards/a", auth, "")
	p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, "")
	_, metrics := p.get(p.ops + "/metrics")
	for _, file := range []string{"deploy/alerts.yaml", "../../../../docs/operating.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\bcvv_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s asks for %d metrics", file, len(names))
		}
		for _, name := range names {
			if !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("%s asks for %s, which there is not", file, name)
			}
		}
	}
	// Each alert says what to do, and nothing is said of others.
	alerts, _ := os.ReadFile("deploy/alerts.yaml")
	manual, _ := os.ReadFile("../../../../docs/operating.md")
	var defined, explained []string
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		defined = append(defined, m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(CVV\\w+)`").FindAllStringSubmatch(string(manual), -1) {
		explained = append(explained, m[1])
	}
	if diff := cmp.Diff(defined, explained); diff != "" {
		t.Errorf("alerts.yaml against operating.md: %s", diff)
	}
}
