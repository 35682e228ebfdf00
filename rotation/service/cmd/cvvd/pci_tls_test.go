package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cvvrotation/sim/must"
)

// TestServe_SIGHUPWithdrawsClientAuthority: the callers of a withdrawn authority lose
// their access at once, on open connections and by resumed sessions too.
func TestServe_SIGHUPWithdrawsClientAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) []byte { return must.Get(os.ReadFile(at(name)))(t) }
	before, beforeKey := certify(t, dir, "before", nil, nil)
	after, afterKey := certify(t, dir, "after", nil, nil)
	certify(t, dir, "server", before, beforeKey)
	certify(t, dir, "old", before, beforeKey)
	certify(t, dir, "new", after, afterKey)
	must.Do(t, os.WriteFile(at("clients.pem"), append(read("before.pem"), read("after.pem")...), 0o600))
	p := start(t, settings(t, "CVVD_LISTEN_TLS_CERT_FILE="+at("server.pem"), "CVVD_LISTEN_TLS_KEY_FILE="+at("server.key"),
		"CVVD_LISTEN_CLIENT_CA_FILE="+at("clients.pem")), "serve").serving()
	roots := x509.NewCertPool()
	roots.AddCert(before)
	bearer := token(t, "cards:register")
	caller := func(name string, http2 bool) func() (int, string, error) {
		pair := must.Get(tls.LoadX509KeyPair(at(name+".pem"), at(name+".key")))(t)
		own := *p
		transport := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{
			RootCAs: roots, Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
		t.Cleanup(transport.CloseIdleConnections)
		own.client = &http.Client{Timeout: patience, Transport: transport}
		return func() (int, string, error) { return own.try("PUT", p.pci+"/v1/cards/a", bearer, "") }
	}
	old1, old2, new1, new2 := caller("old", false), caller("old", true), caller("new", false), caller("new", true)
	accepted := func(why string, all ...func() (int, string, error)) {
		t.Helper()
		for i, call := range all {
			if status, body, err := call(); err != nil || status/100 != 2 {
				t.Errorf("%s, caller %d: %d %s %v", why, i, status, body, err)
			}
		}
	}
	accepted("at first", old1, old2, new1, new2)
	accepted("again", old1, old2, new1, new2)

	must.Do(t, os.WriteFile(at("clients.pem"), read("after.pem"), 0o600))
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "client certificate authorities reloaded")
	for i, call := range []func() (int, string, error){old1, old2} {
		if status, body, err := call(); err != nil || status != 401 || !strings.Contains(body, "unauthenticated") {
			t.Errorf("on the open connection of caller %d: %d %s %v", i, status, body, err)
		}
		if status, _, err := call(); err == nil {
			t.Errorf("on a new connection of caller %d: %d", i, status)
		}
	}
	p.wait(p.log, "the authority of the client certificate was removed from listen.client_ca_file")
	accepted("of the other authority", new1, new2, caller("new", false), caller("new", true))

	// A file without authorities changes nothing; the certificate is reloaded all the same.
	must.Do(t, os.WriteFile(at("clients.pem"), []byte("none"), 0o600))
	certify(t, dir, "server", before, beforeKey)
	p.signal(syscall.SIGHUP)
	p.wait(p.log, `(?s)authorities reloaded.*TLS certificate reloaded.*client certificate authorities reload failed; still accepting the old authorities.*listen.client_ca_file: contains no certificate`)
	accepted("after a failed reload", new1, new2, caller("new", false))
	if status, _, err := old1(); err == nil {
		t.Errorf("the withdrawn authority is back: %d", status)
	}
	must.Do(t, p.end(syscall.SIGTERM))
}

// TestServe_LoadsKeySetFromPrivateAuthority: an odd entry is counted and does not keep
// the daemon from becoming ready.
func TestServe_LoadsKeySetFromPrivateAuthority(t *testing.T) {
	t.Parallel()
	keys := strings.Replace(jwks(t), "[", `["x",7,{"kty":"AKP"},`, 1)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, keys) }))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	must.Do(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw}), 0o600))
	env := settings(t, "CVVD_AUTH_JWKS_FILE=", "CVVD_AUTH_JWKS_URL="+receiver.URL)
	p := start(t, append(env, "CVVD_AUTH_TLS_CA_FILE="+file), "serve").serving()
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", token(t, "cards:register"), ""); status != 201 {
		t.Error(status, body)
	}
	_, metrics := p.get(p.ops + "/metrics")
	for _, line := range []string{`cvv_token_keys{status="used"} 1`, `cvv_token_keys{status="malformed"} 2`, `cvv_token_keys{status="unsupported"} 1`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no line %q in the metrics", line)
		}
	}
	without := start(t, env, "serve")
	without.wait(without.log, "JWKS refresh failed.*certificate signed by unknown authority")
}
