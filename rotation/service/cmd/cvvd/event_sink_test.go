package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
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

	"github.com/benbjohnson/clock"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/sim/must"
)

func TestEventSink_DeliversToWebhookAndJetStream(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("not signed: %v", r.Header)
		}
		bodies <- b
	}))
	defer hook.Close()

	broker := startNATS(t, &server.Options{})
	conn := must.Get(nats.Connect(broker.ClientURL()))(t)
	defer conn.Close()
	messages := make(chan *nats.Msg, 10)
	must.Get(conn.ChanSubscribe("cards.>", messages))(t)
	must.Do(t, conn.Flush())

	const hidden = "HIDDEN-password"
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 24)))
	for name, sink := range map[string]struct {
		env     []string
		receive func() []byte
	}{
		"webhook": {
			[]string{"CVVD_EVENTS_SINK=webhook", "CVVD_EVENTS_WEBHOOK_URL=" + strings.Replace(hook.URL, "http://", "http://u:"+hidden+"@", 1), "CVVD_EVENTS_WEBHOOK_SECRET=" + secret},
			func() []byte {
				select {
				case b := <-bodies:
					return b
				case <-time.After(patience):
					return nil
				}
			},
		},
		"jetstream": {
			[]string{"CVVD_EVENTS_SINK=jetstream", "CVVD_EVENTS_NATS_URL=" + broker.ClientURL(), "CVVD_EVENTS_NATS_PREFIX=cards", "CVVD_EVENTS_NATS_CREATE=true"},
			func() []byte {
				select {
				case m := <-messages:
					return m.Data
				case <-time.After(patience):
					return nil
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, settings(t, sink.env...), "serve").serving()
			auth := token(t, "cards:register cvv:rotate")
			p.send("PUT", p.pci+"/v1/cards/a", auth, "")
			if status, body := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
				t.Fatal(status, body)
			}
			e, err := event.Parse(sink.receive())
			if err != nil || e.Card != "a" || e.Operation != event.OperationRotate || e.Version != 2 {
				t.Errorf("%+v, %v", e, err)
			}
			must.Do(t, p.end(syscall.SIGTERM))
			if log := p.log.String(); strings.Contains(log, hidden) || strings.Contains(log, secret) {
				t.Error("a secret is in the log")
			}
		})
	}
}

// startNATS starts a NATS server with JetStream and the options.
func startNATS(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.JetStream, o.StoreDir, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, t.TempDir(), true, true
	broker := must.Get(server.NewServer(o))(t)
	broker.Start()
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	if !broker.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return broker
}

// The log says so before and after. Younger events are delivered once a sink is
// configured.
func TestExpireEvents_DeletesOldUndeliveredEventsWithoutSink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, events := filepath.Join(dir, "cvvd.db"), filepath.Join(dir, "events.jsonl")
	clk := clock.NewMock()
	clk.Set(time.Now())
	s := must.Get(sqlite.Open(context.Background(), path, sqlite.Options{Clock: clk}))(t)
	now := clk.Now()
	for _, c := range []struct {
		id  string
		ago time.Duration
	}{{"old", 49 * time.Hour}, {"older", 48*time.Hour + time.Minute}, {"recent", 47 * time.Hour}} {
		clk.Set(now.Add(-c.ago))
		must.Do(t, s.Update(context.Background(), c.id, "", func(change *store.Change) error {
			payload, err := json.Marshal(map[string]string{"id": c.id + ".1"})
			change.Event = &store.Event{Card: c.id, Number: 1, At: change.Now, Payload: payload}
			return err
		}))
	}
	must.Do(t, s.Close())
	env := settings(t, "CVVD_STORE_PATH="+path, "CVVD_ENGINE_KEEP_EVENTS=48h", "CVVD_ENGINE_SWEEP=1s")

	p := start(t, env, "serve").serving()
	p.wait(p.log, `no event sink configured: undelivered events.*"keep_events":"48h`)
	p.wait(p.log, `deleted undelivered events.*"events":2`)
	must.Do(t, p.end(syscall.SIGTERM))
	if got := operator(t, env, "events", "tail"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"status":"waiting"`) || !strings.Contains(got, "recent.1") {
		t.Errorf("kept: %s", got)
	}

	p = start(t, append(env, "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE="+events), "serve").serving()
	until(t, "the event is delivered", func() bool {
		return strings.Contains(operator(t, env, "events", "tail"), `"status":"delivered"`)
	})
	must.Do(t, p.end(syscall.SIGTERM))
}

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
