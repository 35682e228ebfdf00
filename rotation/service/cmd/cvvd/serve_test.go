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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/sim/must"
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
	return must.Get(unsigned.SignedString(signer()))(t)
}

// Meanwhile /readyz is 503.
func TestServe_GracefulShutdownAnswersRunningRequest(t *testing.T) {
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

	conn := must.Get(net.Dial("tcp", strings.TrimPrefix(p.pci, "http://")))(t)
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
	until(t, "it refuses new connections", func() bool {
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

func TestServe_WriteTimeoutExceedsRequestLimit(t *testing.T) {
	t.Parallel()
	for _, request := range []time.Duration{10 * time.Second, 5 * time.Minute} {
		t.Run(request.String(), func(t *testing.T) {
			c := newCLI(nil, io.Discard, io.Discard, []string{
				"CVVD_LISTEN_PCI=127.0.0.1:0", "CVVD_LISTEN_OPS=127.0.0.1:0", "CVVD_LIMITS_REQUEST=" + request.String(),
			})
			cfg := must.Get(c.load(t.Context(), &configFlags{dev: true, devDir: t.TempDir()}, config.All))(t)
			d := must.Get(c.build(t.Context(), cfg, true, slog.New(slog.DiscardHandler)))(t)
			if d.pci.WriteTimeout < request+5*time.Second {
				t.Errorf("write timeout %v", d.pci.WriteTimeout)
			}
			must.Do(t, d.close())
		})
	}
}

func TestServe_SecondSignalOrTimeoutAbortsShutdown(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"second signal": "", "too long": "CVVD_LISTEN_SHUTDOWN=1s"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, settings(t, "CVVD_LIMITS_REQUEST=60s", more), "serve").serving()
			conn := must.Get(net.Dial("tcp", strings.TrimPrefix(p.pci, "http://")))(t)
			defer conn.Close()
			fmt.Fprintf(conn, "PUT /v1/cards/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", token(t, "cards:register"))
			until(t, "the request is under way", func() bool {
				_, metrics := p.get(p.ops + "/metrics")
				return strings.Contains(metrics, "cvv_http_in_flight_requests 1\n")
			})
			p.signal(syscall.SIGTERM)
			p.wait(p.log, "shutting down")
			want := "graceful shutdown timed out"
			if more == "" {
				p.signal(syscall.SIGTERM) // as a service manager does, to the process and its group
				p.wait(p.log, "second signal within a second; the graceful shutdown continues")
				want = "second signal, exiting"
				until(t, "a later signal ends it", func() bool {
					p.cmd.Process.Signal(syscall.SIGTERM)
					select {
					case <-p.done:
						return true
					default:
						return false
					}
				})
			}
			<-p.done
			if exitCode(p.err) != command.ExitFailed || !strings.Contains(p.log.String(), want) {
				t.Errorf("ended with %v", p.err)
			}
		})
	}
}

// The daemon is killed five times while callers force one card.
func TestServe_SIGKILLLosesNoAnsweredCall(t *testing.T) {
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

// It also requires client certificates.
func TestServe_SIGHUPReloadsCertificateAndReopensEventsFile(t *testing.T) {
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
	pair := must.Get(tls.LoadX509KeyPair(at("client.pem"), at("client.key")))(t)
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
	must.Do(t, os.Rename(events, events+".1"))
	certify(t, dir, "server", ca, caKey)
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "events file reopened")
	if status, body := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
		t.Fatal(status, body)
	}
	if serial.Cmp(before) == 0 {
		t.Error("SIGHUP did not bring the new certificate")
	}
	until(t, "the second event is delivered", func() bool { return len(readEvents(t, events)) == 1 })

	// If reloading fails, the old certificate is served.
	must.Do(t, os.WriteFile(at("server.pem"), []byte("no certificate"), 0o600))
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "TLS certificate reload failed; still serving the old certificate")
	if status, _ := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
		t.Error(status)
	}
	must.Do(t, p.end(syscall.SIGTERM))
}

// certify writes a certificate and its key. Without a parent it creates an authority.
func certify(t *testing.T, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: parent == nil}
	if parent == nil {
		parent, parentKey = template, key
		template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	}
	der := must.Get(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey))(t)
	keyDER := must.Get(x509.MarshalPKCS8PrivateKey(key))(t)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		must.Do(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
	cert := must.Get(x509.ParseCertificate(der))(t)
	return cert, key
}

func TestServe_NotifiesSystemdOfStartLivenessAndStop(t *testing.T) {
	t.Parallel()
	dir := must.Get(os.MkdirTemp("", "cvvd"))(t) // short enough for a socket's name
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "notify")
	conn := must.Get(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}))(t)
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

func TestServe_SIGABRTDumpsGoroutinesWithoutValues(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), "serve").serving()
	var status *exec.ExitError
	if err := p.end(syscall.SIGABRT); !errors.As(err, &status) || status.ExitCode() != command.ExitFailed {
		t.Error(err)
	}
	log := p.log.String()
	for _, want := range []string{"error: aborted", "main.(*daemon).run", "engine.(*Engine).Run", "/daemon.go:"} {
		if !strings.Contains(log, want) {
			t.Errorf("the dump lacks %s:\n%s", want, log)
		}
	}
	if values := regexp.MustCompile(`rax |\(0x|\{0x`).FindString(log); values != "" {
		t.Errorf("the dump has values: %q:\n%s", values, log)
	}
}

func TestServe_SendsTracesBeforeItEnds(t *testing.T) {
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
	must.Do(t, p.end(syscall.SIGTERM))
	mu.Lock()
	defer mu.Unlock()
	if received == 0 {
		t.Error("no traces")
	}
}

// TestServe_FollowsTraceparentOfAuthenticatedCallersOnly: a stranger cannot force
// sampling.
func TestServe_FollowsTraceparentOfAuthenticatedCallersOnly(t *testing.T) {
	t.Parallel()
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "PUT /v1/cards/{cardId}") { // the span of the request
			received.Add(1)
		}
	}))
	defer receiver.Close()
	for bearer, want := range map[string]bool{"x": false, token(t, "cards:register"): true} {
		received.Store(0)
		p := start(t, settings(t, "CVVD_TRACING_ENDPOINT="+receiver.URL+"/v1/traces", "CVVD_TRACING_SAMPLING_RATIO=0.000000000001"), "serve").serving()
		r := must.Get(http.NewRequest("PUT", p.pci+"/v1/cards/a", nil))(t)
		r.Header.Set("Traceparent", "00-00000000000000000000000000000001-b7ad6b7169203331-01")
		r.Header.Set("Authorization", "Bearer "+bearer)
		must.Do(t, must.Get(p.client.Do(r))(t).Body.Close())
		must.Do(t, p.end(syscall.SIGTERM))
		if (received.Load() > 0) != want {
			t.Errorf("exported: %v, want %v", !want, want)
		}
	}
}

// TestServe_LimitsLogOfFailedHandshakes: they need no credentials.
func TestServe_LimitsLogOfFailedHandshakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certify(t, dir, "server", nil, nil)
	p := start(t, settings(t, "CVVD_LISTEN_TLS_CERT_FILE="+dir+"/server.pem", "CVVD_LISTEN_TLS_KEY_FILE="+dir+"/server.key"), "serve").serving()
	begun := time.Now()
	for range 150 {
		conn := must.Get(net.Dial("tcp", strings.TrimPrefix(p.pci, "https://")))(t)
		fmt.Fprint(conn, "no handshake\r\n\r\n")
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	took := time.Since(begun)
	must.Do(t, p.end(syscall.SIGTERM))
	if n, limit := strings.Count(p.log.String(), "TLS handshake error"), 62+int(took.Seconds()); n < 50 || n > limit {
		t.Errorf("%d records in %v, want up to %d", n, took, limit)
	}
}

func TestServe_FailsIfPortIsInUse(t *testing.T) {
	t.Parallel()
	l := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	for _, variable := range []string{"CVVD_LISTEN_PCI", "CVVD_LISTEN_OPS"} {
		t.Run(variable, func(t *testing.T) {
			p := start(t, settings(t, variable+"="+l.Addr().String()), "serve")
			<-p.done
			if exitCode(p.err) != command.ExitFailed || !strings.Contains(p.log.String(), "address already in use") {
				t.Errorf("%v: %s", p.err, p.log)
			}
		})
	}
}

// TestServe_ThrottlesAfterTheDailyTries: the limit is that of the configuration, survives
// a restart and an operator's unlock, and card show says until when it holds.
func TestServe_ThrottlesAfterTheDailyTries(t *testing.T) {
	t.Parallel()
	env := settings(t, "CVVD_ENGINE_MAX_DAILY_TRIES=2")
	auth := token(t, "cards:register cvv:verify")
	verify := func(p *process) string {
		t.Helper()
		_, body := p.send("POST", p.pci+"/v1/cards/a/cvv/verify", auth, `{"cvv":"1234"}`)
		return body
	}
	p := start(t, env, "serve").serving()
	p.send("PUT", p.pci+"/v1/cards/a", auth, "")
	if out := operator(t, env, "card", "show", "a"); strings.Contains(out, "throttled") || strings.Contains(out, "failed attempts") {
		t.Errorf("card show before an attempt: %s", out)
	}
	for range 2 {
		if body := verify(p); !strings.Contains(body, `"wrong"`) {
			t.Errorf("verdict %s", body)
		}
		operator(t, env, "card", "unlock", "a")
	}
	p.end(syscall.SIGTERM)
	p = start(t, env, "serve").serving()
	if body := verify(p); !strings.Contains(body, `"throttled"`) {
		t.Errorf("verdict after a restart: %s", body)
	}
	for _, want := range []string{"throttled until", "failed attempts", "0 in a row, 2 within 24 hours"} {
		if out := operator(t, env, "card", "show", "a"); !strings.Contains(out, want) {
			t.Errorf("card show does not say %q: %s", want, out)
		}
	}
	if out := operator(t, env, "card", "show", "a", "-o", "json"); !strings.Contains(out, `"daily_tries":2,"throttled_until":"`) {
		t.Error(out)
	}
}
