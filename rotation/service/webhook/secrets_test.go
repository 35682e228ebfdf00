package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/webhook"
)

// TestErrors_QuoteNothingOfTheURL covers the password, the query and the path,
// all of which can be secret.
func TestErrors_QuoteNothingOfTheURL(t *testing.T) {
	var handler atomic.Value
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { handler.Load().(http.HandlerFunc)(w, r) })
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	defer tlsServer.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	url := func(base string) string {
		return strings.Replace(base, "://", "://us3r:pa55word@", 1) + "/hook/t0ken?key=qu3ry"
	}
	reset := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	for _, c := range []struct {
		name, url   string
		handler     http.HandlerFunc
		unavailable bool
		says        string
	}{
		{"refused", url(closed.URL), nil, true, "refused"},
		{"wrong certificate", url(tlsServer.URL), nil, true, "certificate"},
		{"no such host", url("https://receiver.invalid"), nil, true, "receiver.invalid"},
		{"plain server", url(strings.Replace(server.URL, "http:", "https:", 1)), http.NotFound, true, "HTTP"},
		{"reset", url(server.URL), reset, false, ""},
		{"slow", url(server.URL), func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
			<-r.Context().Done()
		}, false, "no response within 200ms"},
		{"broken response", url(server.URL), func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "NOT HTTP\r\n\r\n")
			conn.Close()
		}, false, ""},
		{"rejected", url(server.URL), http.NotFound, false, "404"},
		{"redirect", url(server.URL), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}, true, "302"},
	} {
		t.Run(c.name, func(t *testing.T) {
			handler.Store(c.handler)
			timeout := time.Minute
			if c.name == "slow" {
				timeout = 200 * time.Millisecond
			}
			var text strings.Builder
			logger := slog.New(slog.NewJSONHandler(&text, nil))
			sink := newSink(t, c.url, webhook.Options{Timeout: timeout})
			err := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]
			if err == nil {
				t.Fatal("delivered")
			}
			logger.Error("failed", "error", err)
			fmt.Fprintf(&text, "%v %+v %#v", err, err, err)
			for _, secret := range []string{"us3r", "pa55word", "t0ken", "qu3ry", "MfKQ9r8"} {
				if strings.Contains(text.String(), secret) {
					t.Errorf("%s is in the output: %s", secret, text.String())
				}
			}
			if errors.Is(err, outbox.ErrUnavailable) != c.unavailable || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

func TestNew_RefusesInsecureURLsAndMissingSecrets(t *testing.T) {
	for _, c := range []struct {
		name, url string
		secrets   []webhook.Secret
		o         webhook.Options
	}{
		{"http", "http://user:s3cret@receiver.example/s3cret", secrets(t, oldSecret), webhook.Options{}},
		{"other scheme", "ftp://user:s3cret@receiver.example/", secrets(t, oldSecret), webhook.Options{}},
		{"no host", "https:///s3cret", secrets(t, oldSecret), webhook.Options{}},
		{"broken", "https://user:s3cret/x@receiver.example/", secrets(t, oldSecret), webhook.Options{}},
		{"broken escape", "https://receiver.example/%zzs3cret", secrets(t, oldSecret), webhook.Options{}},
		{"fragment", "https://receiver.example/#s3cret", secrets(t, oldSecret), webhook.Options{}},
		{"empty", "", secrets(t, oldSecret), webhook.Options{}},
		{"negative timeout", "https://receiver.example/", secrets(t, oldSecret), webhook.Options{Timeout: -1}},
		{"no secret", "https://receiver.example/", nil, webhook.Options{}},
		{"an empty secret", "https://receiver.example/", make([]webhook.Secret, 1), webhook.Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := webhook.New(c.url, c.secrets, c.o); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Error(err)
			}
		})
	}
	for _, ok := range []string{"https://receiver.example", "http://localhost:1/x", "http://127.0.0.1/x?y", "http://[::1]:3/"} {
		newSink(t, ok, webhook.Options{})
	}
	newSink(t, "http://receiver.example/", webhook.Options{AllowHTTP: true})
}

func TestSecret_IsNeverPrinted(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 23))
	for _, bad := range []string{"", "whsec_", oldSecret[6:], "whsec_!!!", "whsec_" + short, "whsec_" + strings.Repeat("AAAA", 22)} {
		if _, err := webhook.ParseSecret(bad); err == nil || bad != "" && strings.Contains(err.Error(), strings.TrimPrefix(bad, "whsec_")) && len(bad) > 6 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	s := secrets(t, oldSecret)
	key, _ := base64.StdEncoding.DecodeString(oldSecret[6:])
	var text strings.Builder
	slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "secret", s[0], "secrets", s)
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "secret", s[0], "secrets", s)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p", "%T"} {
		fmt.Fprintf(&text, verb, s[0])
		fmt.Fprintf(&text, verb, s)
		fmt.Fprintf(&text, verb, newSink(t, "https://receiver.example", webhook.Options{}, s...))
	}
	for _, leak := range []string{"MfKQ9r8", string(key[:8]), fmt.Sprintf("%x", key[:8]), fmt.Sprint(key[:8])} {
		if strings.Contains(text.String(), leak) {
			t.Errorf("leaks as %q", leak)
		}
	}
	if _, err := json.Marshal(s[0]); err == nil {
		t.Error("a secret can be marshalled")
	}
}
