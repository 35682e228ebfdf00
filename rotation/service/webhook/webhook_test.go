package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/webhook"
	"cvvrotation/sim/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"
)

func secrets(t testing.TB, texts ...string) (secrets []webhook.Secret) {
	t.Helper()
	for _, text := range texts {
		s := must.Get(webhook.ParseSecret(text))(t)
		secrets = append(secrets, s)
	}
	return secrets
}

// newSink returns a sink that signs with oldSecret, unless there are others.
func newSink(t testing.TB, url string, o webhook.Options, signers ...webhook.Secret) *webhook.Sink {
	t.Helper()
	if len(signers) == 0 {
		signers = secrets(t, oldSecret)
	}
	s := must.Get(webhook.New(url, signers, o))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func queued(card string, number int64) store.Queued {
	return store.Queued{Event: store.Event{
		Card: card, Number: number, At: time.Now(), Payload: fmt.Appendf(nil, `{"id":"%s.%d"}`, card, number),
	}, Position: number}
}

// TestSign_ReceiverVerifiesWithEitherSecret uses the library of Standard
// Webhooks.
func TestSign_ReceiverVerifiesWithEitherSecret(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	got := make(chan request, 2)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header, body}
	})
	mock := clock.NewMock()
	mock.Set(time.Now())
	sink := newSink(t, server.URL, webhook.Options{Clock: mock}, secrets(t, newSecret, oldSecret)...)
	e := queued("acme.card:7", 12)
	var ids, stamps []string
	for range 2 {
		must.Do(t, sink.Deliver(t.Context(), []store.Queued{e})[0])
		r := <-got
		for _, secret := range []string{oldSecret, newSecret} {
			w := must.Get(standardwebhooks.NewWebhook(secret))(t)
			must.Do(t, w.Verify(r.body, r.header))
			if err := w.Verify(append(r.body, ' '), r.header); err == nil {
				t.Error("an altered body verifies")
			}
		}
		if string(r.body) != string(e.Payload) {
			t.Errorf("body %s", r.body)
		}
		if ct := r.header.Get("Content-Type"); ct != "application/cloudevents+json" {
			t.Errorf("content type %s", ct)
		}
		if _, sent := r.header["Idempotency-Key"]; sent {
			t.Error("an empty Idempotency-Key was sent")
		}
		ids = append(ids, r.header.Get("Webhook-Id"))
		stamps = append(stamps, r.header.Get("Webhook-Timestamp"))
		mock.Add(time.Second)
	}
	if ids[0] != "acme/card:7/12" || ids[1] != ids[0] {
		t.Errorf("ids %v", ids)
	}
	if stamps[0] == stamps[1] {
		t.Error("the timestamp is not the attempt's")
	}
}

// TestSign_FollowsTheSpecification computes the signature from the
// specification's sentence.
func TestSign_FollowsTheSpecification(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldSecret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	sink := newSink(t, server.URL, webhook.Options{})
	must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0])
}

func TestResponse_StatusDecidesWhatBecomesOfTheEvent(t *testing.T) {
	type kind string
	const taken, unavailable, counted kind = "taken", "unavailable", "counted"
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	mock := clock.NewMock()
	mock.Set(now)
	var mu sync.Mutex
	status, retry := 0, ""
	var elsewhere atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		if retry != "" {
			w.Header().Set("Retry-After", retry)
		}
		w.WriteHeader(status)
		io.WriteString(w, "the receiver's secret")
	})
	sink := newSink(t, server.URL, webhook.Options{Clock: mock})
	for _, c := range []struct {
		status int
		retry  string
		kind   kind
		after  time.Duration
	}{
		{200, "", taken, 0}, {202, "", taken, 0}, {204, "", taken, 0}, {299, "", taken, 0},
		{300, "", unavailable, 0}, {301, "", unavailable, 0}, {302, "", unavailable, 0}, {307, "", unavailable, 0}, {308, "", unavailable, 0},
		{400, "", counted, 0}, {401, "", counted, 0}, {403, "", counted, 0}, {404, "", counted, 0}, {410, "", counted, 0}, {413, "", counted, 0}, {422, "", counted, 0},
		{408, "", counted, 0}, {409, "", counted, 0}, {425, "", counted, 0},
		{429, "", unavailable, 0}, {429, "120", unavailable, 2 * time.Minute}, {429, "-5", unavailable, 0}, {429, "soon", unavailable, 0},
		{503, "Sun, 22 Nov 2026 15:00:30 GMT", unavailable, 30 * time.Second}, {503, "Sun, 22 Nov 2026 14:00:30 GMT", unavailable, 0},
		{500, "", counted, 0}, {501, "", counted, 0}, {502, "", unavailable, 0}, {504, "", unavailable, 0}, {599, "", counted, 0},
	} {
		t.Run(fmt.Sprint(c.status, c.retry), func(t *testing.T) {
			mu.Lock()
			status, retry = c.status, c.retry
			mu.Unlock()
			err := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]
			var u *outbox.Unavailable
			got := counted
			switch {
			case err == nil:
				got = taken
			case errors.As(err, &u) && errors.Is(err, outbox.ErrUnavailable):
				got = unavailable
			}
			if got != c.kind || u != nil && u.After != c.after {
				t.Errorf("%v, %s", err, got)
			}
			if err != nil && (!strings.Contains(err.Error(), strconv.Itoa(c.status)) || strings.Contains(err.Error(), "secret")) {
				t.Error(err)
			}
		})
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestTLS_SendsClientCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.Certificates = server.TLS.Certificates
	sink := newSink(t, server.URL, webhook.Options{TLS: config})
	must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0])
}

// TestDeliver_ReusesConnections shows that there are as many connections as
// concurrent requests, and that an idle connection that the server closed is no
// failure.
func TestDeliver_ReusesConnections(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, 10_000)) // must be read to keep the connection
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	sink := newSink(t, server.URL, webhook.Options{Concurrency: 3})
	var events []store.Queued
	for i := range 300 {
		events = append(events, queued(fmt.Sprintf("card-%d", i%20), int64(i/20)+1))
	}
	for range 3 {
		for i, err := range sink.Deliver(t.Context(), events) {
			if err != nil {
				t.Fatalf("%s: %v", events[i].ID(), err)
			}
		}
		if n := connections.Swap(0); n > 3 {
			t.Errorf("%d connections", n)
		}
		server.CloseClientConnections()
	}
}

func TestResponse_EndlessBodyIsCutOff(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	sink := newSink(t, server.URL, webhook.Options{Timeout: time.Minute})
	must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0])
}

// TestDeliver_FailureBlocksOnlyItsCard shows that other cards' events are
// delivered while the receiver is slow on one card, and that later events of
// that card are not tried after it fails.
func TestDeliver_FailureBlocksOnlyItsCard(t *testing.T) {
	fast := make(chan string, 10)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "slow") {
			for range 3 {
				<-fast // the others come through meanwhile
			}
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fast <- string(body)
	})
	sink := newSink(t, server.URL, webhook.Options{})
	errs := sink.Deliver(t.Context(), []store.Queued{queued("slow", 1), queued("slow", 2), queued("a", 1), queued("a", 2), queued("b", 1)})
	if errs[0] == nil || !errors.Is(errs[1], outbox.ErrNotTried) || errs[2] != nil || errs[3] != nil || errs[4] != nil {
		t.Error(errs)
	}
}

func TestDeliver_EndsWithItsContext(t *testing.T) {
	arrived := make(chan struct{}, 100)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	sink := newSink(t, server.URL, webhook.Options{Concurrency: 2, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	for i, err := range sink.Deliver(ctx, []store.Queued{queued("a", 1), queued("b", 1), queued("c", 1), queued("d", 1)}) {
		if err == nil {
			t.Errorf("event %d was delivered", i)
		}
	}
}

// TestDeliver_SilentEndpointCostsOneTimeout shows that a batch costs one
// timeout, not one an event.
func TestDeliver_SilentEndpointCostsOneTimeout(t *testing.T) {
	var requests atomic.Int64
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		requests.Add(1)
		<-r.Context().Done()
	})
	sink := newSink(t, server.URL, webhook.Options{Concurrency: 4, Timeout: 300 * time.Millisecond})
	var events []store.Queued
	for i := range 100 {
		events = append(events, queued(fmt.Sprintf("card-%d", i), 1))
	}
	failed := 0
	for _, err := range sink.Deliver(t.Context(), events) {
		switch {
		case err == nil:
			t.Error("delivered")
		case !errors.Is(err, outbox.ErrNotTried):
			failed++
		}
	}
	if n := requests.Load(); n < 1 || n > 12 || failed < int(n) {
		t.Errorf("%d requests, %d failed", n, failed)
	}
}
