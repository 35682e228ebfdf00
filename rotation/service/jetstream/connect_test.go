package jetstream_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
)

func TestDial_WithoutServerDeliverFailsImmediately(t *testing.T) {
	conn := must.Get(jetstream.Dial("nats://127.0.0.1:1", jetstream.DialOptions{}))(t)
	sink := newSink(t, conn, jetstream.Options{Timeout: time.Hour})
	errs := sink.Deliver(t.Context(), []store.Queued{queued("a", 1), queued("a", 2)})
	for _, err := range errs {
		if !errors.Is(err, outbox.ErrUnavailable) || !errors.Is(err, nats.ErrDisconnected) {
			t.Error(err)
		}
	}
	if err := conn.Publish("any", nil); err == nil {
		t.Error("what is published now would be sent, old, after a reconnection")
	}
}

// TestDial_QuotesNothingOfTheURL covers errors and logs: the URL may hold a
// password.
func TestDial_QuotesNothingOfTheURL(t *testing.T) {
	var text locked
	log := slog.New(slog.NewTextHandler(&text, nil))
	s := run(t, t.TempDir(), -1, func(o *server.Options) { o.Username, o.Password = "us3r", "right" })
	for url, ok := range map[string]bool{
		strings.Replace(s.ClientURL(), "://", "://us3r:pa55word@", 1): true,
		"nats://us3r:pa55word@127.0.0.1:1":                            true,
		"nats://us3r:pa55word@127.0.0.1:99999999":                     true, // found out when connecting
		"nats://us3r:pa55/word@host:x":                                false,
		"://us3r:pa55word@":                                           false,
		"us3r:pa55word":                                               false,
		"":                                                            false, // nats.go would take its default
		"nats://us3r:pa55word@127.0.0.1:1,%zz://pa55word":             false,
	} {
		conn, err := jetstream.Dial(url, jetstream.DialOptions{Logger: log})
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		fmt.Fprintf(&text, "%v %+v %#v\n", err, err, err)
		if err != nil {
			continue
		}
		sink := must.Get(jetstream.New(conn, jetstream.Options{}))(t)
		err = sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]
		if !errors.Is(err, outbox.ErrUnavailable) {
			t.Errorf("%s: %v", url, err)
		}
		fmt.Fprintf(&text, "%v %+v %#v\n", err, err, err)
		sink.Close()
	}
	for _, secret := range []string{"us3r", "pa55"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%s is in the output: %s", secret, text.String())
		}
	}
}

// locked is text that several goroutines write.
type locked struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
