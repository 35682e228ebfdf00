package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/event"
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
