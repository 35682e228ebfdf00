package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/sim/must"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a real server in this process; port -1 is any.
func run(t testing.TB, dir string, port int, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true, SyncInterval: time.Hour,
	}
	if change != nil {
		change(o)
	}
	s := must.Get(server.NewServer(o))(t)
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// dial returns a connection that is there.
func dial(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn := must.Get(jetstream.Dial(url, jetstream.DialOptions{}))(t)
	t.Cleanup(conn.Close)
	waitFor(t, "a connection", conn.IsConnected)
	return conn
}

// waitFor waits for something that happens in the server's goroutines.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func newSink(t testing.TB, conn *nats.Conn, o jetstream.Options) *jetstream.Sink {
	t.Helper()
	s := must.Get(jetstream.New(conn, o))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func queued(card string, number int64) store.Queued {
	return store.Queued{Event: store.Event{Card: card, Number: number, Payload: fmt.Appendf(nil, `{"id":"%s.%d"}`, card, number)}}
}

// stored reads the stream from the outside and returns the messages in order.
func stored(t testing.TB, url, stream string, options ...nats.Option) []*natsjs.RawStreamMsg {
	t.Helper()
	conn := must.Get(nats.Connect(url, options...))(t)
	defer conn.Close()
	js := must.Get(natsjs.New(conn))(t)
	s := must.Get(js.Stream(t.Context(), stream))(t)
	var messages []*natsjs.RawStreamMsg
	for i := uint64(1); i <= s.CachedInfo().State.LastSeq; i++ {
		m := must.Get(s.GetMsg(t.Context(), i))(t)
		messages = append(messages, m)
	}
	return messages
}

func ids(messages []*natsjs.RawStreamMsg) (ids []string) {
	for _, m := range messages {
		ids = append(ids, m.Header.Get("Nats-Msg-Id"))
	}
	return ids
}

func TestDeliver_StoresEachEventOnceOnItsCardsSubject(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	sink := newSink(t, dial(t, s.ClientURL()), jetstream.Options{Create: true})
	events := []store.Queued{queued("a.b:c", 1), queued("a.b:c", 2), queued("d", 1)}
	for range 2 { // the second time, the stream drops them
		must.Do(t, errors.Join(sink.Deliver(t.Context(), events)...))
	}
	messages := stored(t, s.ClientURL(), "CARD_CVV")
	if len(messages) != 3 {
		t.Fatalf("%d messages: %v", len(messages), ids(messages))
	}
	subjects := map[string]string{}
	for _, m := range messages {
		id := m.Header.Get("Nats-Msg-Id")
		if string(m.Data) != fmt.Sprintf(`{"id":"%s"}`, id) {
			t.Errorf("%s: %s", id, m.Data)
		}
		if m.Header.Get("content-type") != "application/cloudevents+json" {
			t.Errorf("%s: %v", id, m.Header)
		}
		subjects[id] = m.Subject
	}
	// The FNV-1a of "d", worked out with another tool.
	if subjects["d.1"] != "card.cvv.changed.v1.73" || subjects["a.b:c.1"] != subjects["a.b:c.2"] {
		t.Error(subjects)
	}
}

func TestDeliver_LargeBatchKeepsCardsInOrder(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	sink := newSink(t, dial(t, s.ClientURL()), jetstream.Options{Create: true})
	var events []store.Queued
	for i := range 3000 {
		events = append(events, queued(fmt.Sprintf("card-%d", i%700), int64(i/700)+1))
	}
	must.Do(t, errors.Join(sink.Deliver(t.Context(), events)...))
	inOrder(t, ids(stored(t, s.ClientURL(), "CARD_CVV")), 3000)
}

// inOrder checks that there are n events, the first ones of each id in order.
func inOrder(t *testing.T, ids []string, n int) {
	t.Helper()
	last := map[string]int64{}
	for _, id := range ids {
		dot := strings.LastIndexByte(id, '.')
		number, _ := strconv.ParseInt(id[dot+1:], 10, 64)
		if number > last[id[:dot]]+1 {
			t.Fatalf("%s after %d", id, last[id[:dot]])
		}
		if number == last[id[:dot]]+1 {
			last[id[:dot]] = number
			n--
		}
	}
	if n != 0 {
		t.Errorf("%d events are missing", n)
	}
}

// TestDeliver_FullStreamStopsOnlyTheFailedCards covers a stream with room for a
// part of the batch, and events that are too large.
func TestDeliver_FullStreamStopsOnlyTheFailedCards(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	js := must.Get(natsjs.New(conn))(t)
	config := natsjs.StreamConfig{
		Name: "CARD_CVV", Subjects: []string{"card.cvv.changed.v1.*"}, MaxMsgs: 5, Discard: natsjs.DiscardNew, MaxMsgSize: 1000,
	}
	must.Get(js.CreateStream(t.Context(), config))(t)
	sink := newSink(t, conn, jetstream.Options{})
	huge := queued("huge", 1)
	huge.Payload = make([]byte, 2000)
	vast := queued("vast", 1)
	vast.Payload = make([]byte, 2<<20)
	errs := sink.Deliver(t.Context(), []store.Queued{huge, vast})
	for _, err := range errs {
		if err == nil || errors.Is(err, outbox.ErrUnavailable) {
			t.Error(err)
		}
	}
	var events []store.Queued
	for i := range 12 {
		events = append(events, queued([]string{"a", "b", "c"}[i%3], int64(i/3)+1))
	}
	delivered := 0
	failed := map[string]bool{}
	for i, err := range sink.Deliver(t.Context(), events) {
		card := events[i].Card
		switch {
		case err == nil && failed[card]:
			t.Errorf("%s was delivered after one that failed", events[i].ID())
		case err == nil:
			delivered++
		case failed[card] != errors.Is(err, outbox.ErrNotTried):
			t.Errorf("%s: %v", events[i].ID(), err)
		case !failed[card] && !errors.Is(err, outbox.ErrUnavailable):
			t.Errorf("%s: %v", events[i].ID(), err)
		}
		failed[card] = failed[card] || err != nil
	}
	if delivered != 5 {
		t.Errorf("%d were delivered", delivered)
	}
	inOrder(t, ids(stored(t, s.ClientURL(), "CARD_CVV")), 5)
}

func TestCheck_CreatesAndFindsTheStream(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	for _, c := range []struct {
		name string
		o    jetstream.Options
		says string
	}{
		{"no stream", jetstream.Options{Stream: "NONE"}, "stream not found"},
		{"made", jetstream.Options{Stream: "MADE", Create: true, KeepFor: time.Hour}, ""},
		{"there", jetstream.Options{Stream: "MADE"}, ""},
		{"other subjects", jetstream.Options{Stream: "MADE", Prefix: "other"}, "does not have the subjects other.*"},
		{"a second one", jetstream.Options{Stream: "SECOND", Prefix: "second", Create: true}, ""},
		{"its subjects", jetstream.Options{Stream: "MADE", Prefix: "second"}, "does not have the subjects second.*"},
	} {
		sink := must.Get(jetstream.New(conn, c.o))(t)
		err := sink.Check(t.Context())
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, outbox.ErrUnavailable)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]; (got == nil) != (err == nil) {
			t.Errorf("%s: Deliver: %v", c.name, got)
		}
	}
	js := must.Get(natsjs.New(conn))(t)
	stream := must.Get(js.Stream(t.Context(), "MADE"))(t)
	if c := stream.CachedInfo().Config; c.MaxAge != time.Hour || c.Storage != natsjs.FileStorage {
		t.Errorf("%+v", c)
	}
}

func TestNew_RefusesMissingConnectionAndBadOptions(t *testing.T) {
	conn := must.Get(jetstream.Dial("nats://127.0.0.1:1", jetstream.DialOptions{}))(t)
	defer conn.Close()
	for _, c := range []struct {
		name string
		conn *nats.Conn
		o    jetstream.Options
	}{
		{"no connection", nil, jetstream.Options{}},
		{"wildcard", conn, jetstream.Options{Prefix: "a.*"}},
		{"gap", conn, jetstream.Options{Prefix: "a..b"}},
		{"dot at the end", conn, jetstream.Options{Prefix: "a."}},
		{"negative timeout", conn, jetstream.Options{Timeout: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := jetstream.New(c.conn, c.o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestDeliver_RecreatesDeletedStream(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	sink := newSink(t, conn, jetstream.Options{Create: true})
	must.Do(t, sink.Check(t.Context()))
	js := must.Get(natsjs.New(conn))(t)
	must.Do(t, js.DeleteStream(t.Context(), "CARD_CVV"))
	if err := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]; !errors.Is(err, outbox.ErrUnavailable) {
		t.Error(err)
	}
	must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0])
}

func TestDeliver_RefusesAnotherStreamWithTheSubjects(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	sink := newSink(t, conn, jetstream.Options{Create: true})
	must.Do(t, sink.Check(t.Context()))
	js := must.Get(natsjs.New(conn))(t)
	// With its last stream the server removes, a little later, the folder of all.
	must.Get(js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "LAST"}))(t)
	must.Do(t, js.DeleteStream(t.Context(), "CARD_CVV"))
	must.Get(js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "OTHER", Subjects: []string{"card.>"}}))(t)
	for range 2 {
		if err := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]; !errors.Is(err, outbox.ErrUnavailable) {
			t.Error(err)
		}
	}
	if m := stored(t, s.ClientURL(), "OTHER"); len(m) != 0 {
		t.Error(ids(m))
	}
}

func TestDeliver_DuplicateAfterTheWindowStaysInOrder(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	js := must.Get(natsjs.New(conn))(t)
	config := natsjs.StreamConfig{Name: "CARD_CVV", Subjects: []string{"card.cvv.changed.v1.*"}, Duplicates: 100 * time.Millisecond}
	must.Get(js.CreateStream(t.Context(), config))(t)
	sink := newSink(t, conn, jetstream.Options{})
	waitFor(t, "second copy", func() bool { // as of a relay that could not record the first
		must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0])
		return len(stored(t, s.ClientURL(), "CARD_CVV")) == 2
	})
	must.Do(t, sink.Deliver(t.Context(), []store.Queued{queued("a", 2)})[0])
	if got := ids(stored(t, s.ClientURL(), "CARD_CVV")); !slices.Equal(got, []string{"a.1", "a.1", "a.2"}) {
		t.Error(got)
	}
}

// TestDeliver_EndsWithItsContext covers an acknowledgement that never comes.
func TestDeliver_EndsWithItsContext(t *testing.T) {
	s := run(t, t.TempDir(), -1, nil)
	conn := dial(t, s.ClientURL())
	sink := newSink(t, conn, jetstream.Options{Create: true, Timeout: time.Hour})
	must.Do(t, sink.Check(t.Context()))
	sub := must.Get(conn.SubscribeSync("card.cvv.changed.v1.*"))(t) // shows that it was sent
	must.Do(t, conn.Flush())
	js := must.Get(natsjs.New(conn))(t)
	must.Do(t, js.DeleteStream(t.Context(), "CARD_CVV")) // now only the subscriber is there, which does not answer
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		sub.NextMsg(20 * time.Second)
		cancel()
	}()
	if err := sink.Deliver(ctx, []store.Queued{queued("a", 1)})[0]; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
