package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/event"
)

// It uses a private authority, a client certificate and, for NATS, credentials.
func TestEventSink_DeliversOverMutualTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	ca, caKey := certify(t, dir, "ca", nil, nil)
	certify(t, dir, "server", ca, caKey)
	certify(t, dir, "client", ca, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair := func(name string) []tls.Certificate {
		p := must.Get(tls.LoadX509KeyPair(at(name+".pem"), at(name+".key")))(t)
		return []tls.Certificate{p}
	}
	receiver := &tls.Config{Certificates: pair("server"), ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}

	bodies := make(chan []byte, 10)
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- b
	}))
	hook.TLS = receiver.Clone()
	hook.Config.ErrorLog = log.New(io.Discard, "", 0)
	hook.StartTLS()
	defer hook.Close()

	options := &server.Options{TLS: true, TLSVerify: true, TLSTimeout: 10, TLSConfig: receiver.Clone()}
	user, seed := entrust(t, options)
	creds := must.Get(jwt.FormatUserConfig(user, []byte(seed)))(t)
	must.Do(t, os.WriteFile(at("nats.creds"), creds, 0o600))
	broker := startNATS(t, options)
	conn := must.Get(nats.Connect(broker.ClientURL(), nats.UserJWTAndSeed(user, seed), nats.Secure(&tls.Config{RootCAs: roots, Certificates: pair("client")})))(t)
	defer conn.Close()
	must.Get(conn.Subscribe("cards.>", func(m *nats.Msg) { bodies <- m.Data }))(t)
	must.Do(t, conn.Flush())

	for name, env := range map[string][]string{
		"webhook": {"CVVD_EVENTS_SINK=webhook", "CVVD_EVENTS_WEBHOOK_URL=" + hook.URL,
			"CVVD_EVENTS_WEBHOOK_SECRET=whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 24)))},
		"jetstream": {"CVVD_EVENTS_SINK=jetstream", "CVVD_EVENTS_NATS_URL=" + broker.ClientURL(), "CVVD_EVENTS_NATS_CREDENTIALS=" + at("nats.creds"),
			"CVVD_EVENTS_NATS_PREFIX=cards", "CVVD_EVENTS_NATS_CREATE=true"},
	} {
		t.Run(name, func(t *testing.T) {
			secured := []string{"CVVD_EVENTS_TLS_CA_FILE=" + at("ca.pem"), "CVVD_EVENTS_TLS_CERT_FILE=" + at("client.pem"), "CVVD_EVENTS_TLS_KEY_FILE=" + at("client.key")}
			p := start(t, settings(t, append(env, secured...)...), "serve").serving()
			card := fmt.Sprintf("card-%s", name)
			if status, body := p.send("PUT", p.pci+"/v1/cards/"+card, token(t, "cards:register"), `{"cvv_rotation_interval_hours":24}`); status != 201 {
				t.Fatal(status, body)
			}
			select {
			case b := <-bodies:
				if e, err := event.Parse(b); err != nil || e.Card != card {
					t.Errorf("%+v, %v", e, err)
				}
			case <-time.After(patience):
				t.Error("no event arrives")
			}
			must.Do(t, p.end(syscall.SIGTERM))
			if strings.Contains(p.log.String(), seed) {
				t.Error("the seed is in the log")
			}
		})
	}
}

// entrust configures the server with an operator, and returns the JWT and the seed of a
// user whose account may use streams.
func entrust(t *testing.T, o *server.Options) (user, seed string) {
	t.Helper()
	create := func(key nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		must.Do(t, err)
		id, _ := key.PublicKey()
		return key, id
	}
	operatorKey, operator := create(nkeys.CreateOperator())
	accountKey, account := create(nkeys.CreateAccount())
	_, system := create(nkeys.CreateAccount())
	userKey, id := create(nkeys.CreateUser())
	resolver := &server.MemAccResolver{}
	for _, a := range []string{account, system} {
		claims := jwt.NewAccountClaims(a)
		if a == account {
			claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		}
		token := must.Get(claims.Encode(operatorKey))(t)
		must.Do(t, resolver.Store(a, token))
	}
	o.TrustedKeys, o.SystemAccount, o.AccountResolver = []string{operator}, system, resolver
	user = must.Get(jwt.NewUserClaims(id).Encode(accountKey))(t)
	b, _ := userKey.Seed()
	return user, string(b)
}
