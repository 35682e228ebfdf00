package jetstream_test

import (
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
)

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
