package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/sim/must"
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
	var text logtest.Buffer
	log := text.Text()
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

// wire is a proxy of a server that can fall silent: its connections stay open and
// carry no bytes, as when a machine disappears from the network.
type wire struct {
	url    string
	silent atomic.Pointer[chan struct{}] // of connections from now on: closed when they are cut
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	w := &wire{url: "nats://" + l.Addr().String()}
	w.heal()
	end := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() {
		close(end)
		l.Close()
		wg.Wait()
	})
	carry := func(to, from net.Conn, cut chan struct{}) {
		defer to.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			select {
			case <-cut: // says nothing, not even that it ends
				<-end
				return
			default:
			}
			if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(target, "nats://"))
			if err != nil {
				client.Close()
				continue
			}
			cut := *w.silent.Load()
			wg.Go(func() { carry(client, server, cut) })
			wg.Go(func() { carry(server, client, cut) })
			wg.Go(func() {
				<-end
				client.Close()
				server.Close()
			})
		}
	})
	return w
}

// fall silences open and new connections.
func (w *wire) fall() { close(*w.silent.Load()) }

// heal lets new connections through; silent ones stay silent.
func (w *wire) heal() {
	open := make(chan struct{})
	w.silent.Store(&open)
}

func TestDeliver_SilentConnectionIsReplaced(t *testing.T) {
	jetstream.Impatient(t)
	s := run(t, t.TempDir(), -1, nil)
	w := newWire(t, s.ClientURL())
	sink := newSink(t, dial(t, w.url), jetstream.Options{Create: true, Timeout: 200 * time.Millisecond})
	must.Do(t, sink.Check(t.Context()))
	w.fall()
	relay := startRelay(t, sink, 40)
	waitFor(t, "failure", func() bool { return !relay.State().Down.IsZero() })
	w.heal()
	relay.finish()
	messages := stored(t, s.ClientURL(), "CARD_CVV")
	if inOrder(t, ids(messages), 40); len(messages) != 40 {
		t.Errorf("%d messages", len(messages))
	}
}

func TestDeliver_EndsWhenConnectionAcceptsNoBytes(t *testing.T) {
	jetstream.Impatient(t)
	s := run(t, t.TempDir(), -1, nil)
	w := newWire(t, s.ClientURL())
	sink := newSink(t, dial(t, w.url), jetstream.Options{Create: true, Timeout: time.Hour})
	must.Do(t, sink.Check(t.Context()))
	w.fall()
	var events []store.Queued
	for i := range 40 { // more than the buffers on the way hold
		e := queued(string(rune('A'+i)), 1)
		e.Payload = make([]byte, 900<<10)
		events = append(events, e)
	}
	done := make(chan []error)
	go func() { done <- sink.Deliver(t.Context(), events) }()
	select {
	case errs := <-done:
		for i, err := range errs {
			if !errors.Is(err, outbox.ErrUnavailable) {
				t.Errorf("%s: %v", events[i].ID(), err)
			}
		}
	case <-time.After(30 * time.Second):
		t.Error("Deliver does not end")
		<-done
	}
}

func TestRelay_ServerRestartLosesAndRepeatsNothing(t *testing.T) {
	const cards, each = 40, 50
	dir := t.TempDir()
	first := run(t, dir, -1, nil)
	url := first.ClientURL()
	port, _ := strconv.Atoi(url[strings.LastIndexByte(url, ':')+1:])
	sink := newSink(t, dial(t, url), jetstream.Options{Create: true, Timeout: 2 * time.Second})

	events := memory.New(memory.Options{})
	for i := range cards * each {
		must.Do(t, events.Update(t.Context(), fmt.Sprintf("card-%d", i%cards), "", func(change *store.Change) error {
			change.Card.Version, change.Card.Events, change.Write = 1, change.Card.Events+1, true
			change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
			return nil
		}))
	}
	reached, finished := make(chan struct{}), make(chan struct{})
	delivered := 0
	relay := must.Get(outbox.New(events, sink, outbox.Options{
		Batch: 16, MinBackoff: 10 * time.Millisecond, MaxPause: 100 * time.Millisecond, MaxBackoff: time.Second,
		Observe: func(o outbox.Outcome) {
			if o.Status != store.StatusDelivered {
				return
			}
			switch delivered++; delivered {
			case cards * each / 4:
				close(reached)
			case cards * each:
				close(finished)
			}
		},
	}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	stopped := make(chan error)
	go func() { stopped <- relay.Run(ctx) }()
	<-reached
	stop(first)
	second := run(t, dir, port, nil)
	select {
	case <-finished:
	case <-ctx.Done():
		t.Errorf("not everything arrived: %+v", relay.State())
	}
	cancel()
	must.Do(t, <-stopped)
	stats, err := events.Stats(t.Context())
	if err != nil || stats.Waiting != 0 || stats.Parked != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	messages := stored(t, second.ClientURL(), "CARD_CVV")
	if len(messages) != cards*each {
		t.Errorf("%d messages for %d events", len(messages), cards*each)
	}
	inOrder(t, ids(messages), cards*each)
}
