package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

func queued(card string, number int64) store.Queued {
	return store.Queued{Event: store.Event{Card: card, Number: number, Payload: fmt.Appendf(nil, `{"id":"%s.%d"}`, card, number)}}
}

func deliver(t *testing.T, s *jsonl.Sink, events ...store.Queued) {
	t.Helper()
	if err := errors.Join(s.Deliver(t.Context(), events)...); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, path string) *jsonl.Sink {
	t.Helper()
	s := must.Get(jsonl.Open(path))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func stream(t *testing.T, w io.Writer) *jsonl.Sink {
	t.Helper()
	return must.Get(jsonl.New(w))(t)
}

func content(t *testing.T, path string) string {
	t.Helper()
	b := must.Get(os.ReadFile(path))(t)
	return string(b)
}

func TestDeliver_AppendsAcrossLogRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s := open(t, path)
	deliver(t, s, queued("a", 1), queued("b", 1))
	deliver(t, s, queued("a", 2))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	must.Do(t, os.Rename(path, path+".1"))
	deliver(t, s, queued("a", 3)) // into a new one
	must.Do(t, os.Rename(path, path+".2"))
	must.Do(t, os.WriteFile(path, nil, 0o600)) // as logrotate does
	must.Do(t, s.Reopen())
	deliver(t, s, queued("a", 4))
	must.Do(t, s.Close())
	must.Equal(t, `{"id":"a.1"}
{"id":"b.1"}
{"id":"a.2"}
`, content(t, path+".1"))
	must.Equal(t, "{\"id\":\"a.3\"}\n", content(t, path+".2"))
	must.Equal(t, "{\"id\":\"a.4\"}\n", content(t, path))
	if err := s.Deliver(t.Context(), []store.Queued{queued("a", 5)})[0]; !errors.Is(err, outbox.ErrUnavailable) {
		t.Error("after Close:", err)
	}
	deliver(t, open(t, path), queued("a", 5))
	if got := content(t, path); strings.Count(got, "\n") != 2 {
		t.Errorf("not appended: %s", got)
	}
}

func TestDeliver_EndsIncompleteLineOfAStream(t *testing.T) {
	w := &narrow{left: 20}
	s := stream(t, w)
	errs := s.Deliver(t.Context(), []store.Queued{queued("a", 1), queued("a", 2), queued("b", 1)})
	if errs[0] != nil || !errors.Is(errs[1], outbox.ErrUnavailable) || !errors.Is(errs[2], outbox.ErrUnavailable) {
		t.Error(errs)
	}
	w.left = 1000
	deliver(t, s, queued("a", 2))
	deliver(t, s, queued("b", 1))
	must.Equal(t, "{\"id\":\"a.1\"}\n{\"id\":\"\n{\"id\":\"a.2\"}\n{\"id\":\"b.1\"}\n", w.String())
	must.Do(t, errors.Join(s.Reopen(), s.Close()))
}

// narrow takes so many bytes.
type narrow struct {
	bytes.Buffer
	left int
}

func (n *narrow) Write(b []byte) (int, error) {
	if len(b) > n.left {
		n.Buffer.Write(b[:n.left])
		return n.left, errors.New("full")
	}
	n.left -= len(b)
	return n.Buffer.Write(b)
}

// TestDeliver_EventOfSeveralLinesStopsItsCard: the later event of its card waits, those
// of other cards are written.
func TestDeliver_EventOfSeveralLinesStopsItsCard(t *testing.T) {
	var w bytes.Buffer
	e := queued("a", 2)
	e.Payload = []byte("{\n}")
	errs := stream(t, &w).Deliver(t.Context(), []store.Queued{queued("a", 1), e, queued("a", 3), queued("b", 1)})
	if errs[0] != nil || errs[1] == nil || errors.Is(errs[1], outbox.ErrUnavailable) || !errors.Is(errs[2], outbox.ErrNotTried) || errs[3] != nil {
		t.Error(errs)
	}
	if w.String() != "{\"id\":\"a.1\"}\n{\"id\":\"b.1\"}\n" {
		t.Error(w.String())
	}
}

func TestNew_RefusesNilWriter(t *testing.T) {
	if _, err := jsonl.New(nil); err == nil {
		t.Error("accepted")
	}
}

// TestOpen_AfterACrashTheLineIsDeliveredAgain also shows that a file that is not
// of lines is refused.
func TestOpen_AfterACrashTheLineIsDeliveredAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	must.Do(t, os.WriteFile(path, []byte("{\"id\":\"a.1\"}\n{\"id\":\"a."), 0o600))
	deliver(t, open(t, path), queued("a", 2))
	must.Equal(t, "{\"id\":\"a.1\"}\n{\"id\":\"a.2\"}\n", content(t, path))
	must.Do(t, os.WriteFile(path, []byte("Dear diary,\n"), 0o600))
	if _, err := jsonl.Open(path); !errors.Is(err, jsonl.ErrNotLines) {
		t.Error(err)
	}
}

func TestDeliver_MissingFolderIsUnavailable(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	must.Do(t, os.Mkdir(folder, 0o700))
	s := open(t, filepath.Join(folder, "events.jsonl"))
	must.Do(t, os.RemoveAll(folder))
	for _, err := range s.Deliver(t.Context(), []store.Queued{queued("a", 1), queued("b", 1)}) {
		if !errors.Is(err, outbox.ErrUnavailable) {
			t.Error(err)
		}
	}
}

func TestDeliver_EndedContextWritesNothing(t *testing.T) {
	var w bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stream(t, &w).Deliver(ctx, []store.Queued{queued("a", 1)})[0]; !errors.Is(err, context.Canceled) || w.Len() != 0 {
		t.Error(err, w.String())
	}
}

// BenchmarkFile is batches of 256 events, each synced.
func BenchmarkFile(b *testing.B) {
	s := must.Get(jsonl.Open(filepath.Join(b.TempDir(), "events.jsonl")))(b)
	defer s.Close()
	events := make([]store.Queued, 256)
	for i := range events {
		events[i] = queued("a", int64(i))
		events[i].Payload = bytes.Repeat([]byte("x"), 500)
	}
	n := 0
	for b.Loop() {
		must.Do(b, errors.Join(s.Deliver(b.Context(), events)...))
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
