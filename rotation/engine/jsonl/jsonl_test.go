package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
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
	s, err := jsonl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s := open(t, path)
	deliver(t, s, queued("a", 1), queued("b", 1))
	deliver(t, s, queued("a", 2))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, queued("a", 3)) // into a new one
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as logrotate does
		t.Fatal(err)
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, queued("a", 4))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(`{"id":"a.1"}
{"id":"b.1"}
{"id":"a.2"}
`, content(t, path+".1")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("{\"id\":\"a.3\"}\n", content(t, path+".2")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("{\"id\":\"a.4\"}\n", content(t, path)); diff != "" {
		t.Error(diff)
	}
	if err := s.Deliver(t.Context(), []store.Queued{queued("a", 5)})[0]; !errors.Is(err, outbox.ErrUnavailable) {
		t.Error("after Close:", err)
	}
	deliver(t, open(t, path), queued("a", 5))
	if got := content(t, path); strings.Count(got, "\n") != 2 {
		t.Errorf("not appended: %s", got)
	}
}

// TestADeletedFile swallows nothing, and a folder that is gone is an outage.
func TestADeletedFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	path := filepath.Join(folder, "events.jsonl")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	deliver(t, s, queued("a", 1))
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), []store.Queued{queued("a", 2)})[0]; !errors.Is(err, outbox.ErrUnavailable) {
		t.Error(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, queued("a", 2))
	if diff := cmp.Diff("{\"id\":\"a.2\"}\n", content(t, path)); diff != "" {
		t.Error(diff)
	}
}

// TestHealing cuts a file of lines at every byte, as a crash would, and delivers
// again what was not delivered.
func TestHealing(t *testing.T) {
	whole := "{\"id\":\"a.1\"}\n{\"id\":\"a.2\"}\n{\"id\":\"a.3\"}\n"
	dir := t.TempDir()
	for n := range len(whole) + 1 {
		path := filepath.Join(dir, fmt.Sprint(n))
		if err := os.WriteFile(path, []byte(whole[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		healed := content(t, path)
		if healed != "" && !strings.HasSuffix(healed, "\n") || !strings.HasPrefix(whole, healed) || len(healed) > n+1 {
			t.Errorf("cut at %d: %q", n, healed)
		}
		for i := strings.Count(healed, "\n") + 1; i <= 3; i++ {
			deliver(t, s, queued("a", int64(i)))
		}
		if diff := cmp.Diff(whole, content(t, path)); diff != "" {
			t.Errorf("cut at %d: %s", n, diff)
		}
	}
}

// TestHoles leaves zeros anywhere in a file of lines, as a power cut does that
// kept a later part of a write and not an earlier one.
func TestHoles(t *testing.T) {
	whole := "{\"id\":\"a.1\"}\n{\"id\":\"a.2\"}\n{\"id\":\"a.3\"}\n"
	path := filepath.Join(t.TempDir(), "events.jsonl")
	for from := range len(whole) {
		for to := from + 1; to <= len(whole); to++ {
			text := whole[:from] + strings.Repeat("\x00", to-from) + whole[to:]
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			kept := whole[:strings.LastIndexByte(whole[:from], '\n')+1]
			if diff := cmp.Diff(kept, content(t, path)); diff != "" {
				t.Fatalf("zeros from %d to %d: %s", from, to, diff)
			}
			for i := strings.Count(kept, "\n") + 1; i <= 3; i++ {
				deliver(t, s, queued("a", int64(i)))
			}
			if diff := cmp.Diff(whole, content(t, path)); diff != "" {
				t.Fatalf("zeros from %d to %d, and then: %s", from, to, diff)
			}
			s.Close()
		}
	}
}

// TestForeignFilesAreLeftAlone: what is not ours is not cut off.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"text":         "Dear diary,\ntoday I",
		"one line":     "secret",
		"an image":     "\x89PNG\r\n\x1a\n\x00\x00",
		"a database":   "SQLite format 3\x00\x10\x00",
		"endless line": strings.Repeat("{", 2<<20),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := jsonl.Open(path); !errors.Is(err, jsonl.ErrNotLines) {
			t.Errorf("%s: %v", name, err)
		}
		if content(t, path) != text {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := jsonl.Open(dir); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := jsonl.Open(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("a file in no folder was opened")
	}
}

// TestAFileThatCannotGrow: a batch that does not fit leaves nothing behind.
func TestAFileThatCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s := open(t, path)
	// The limit is one of the whole process, which writes files of its own, of what
	// it has opened: they are shorter.
	first := queued(strings.Repeat("a", 1<<19), 1)
	deliver(t, s, first)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip("no limits here:", err)
	}
	limit := before
	limit.Cur = uint64(len(first.Payload) + 18) // the first event of the batch fits, and a part of the second
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip("no limits here:", err)
	}
	errs := s.Deliver(t.Context(), []store.Queued{queued("a", 2), queued("a", 3)})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		if !errors.Is(err, outbox.ErrUnavailable) {
			t.Error(err)
		}
	}
	if content(t, path) != string(first.Payload)+"\n" {
		t.Error("something of the batch is in the file, or the event before it is not")
	}
	deliver(t, s, queued("a", 2), queued("a", 3))
	if n := strings.Count(content(t, path), "\n"); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// TestStream: a line that was cut short is ended before the next one.
func TestStream(t *testing.T) {
	w := &narrow{left: 20}
	s := jsonl.New(w)
	errs := s.Deliver(t.Context(), []store.Queued{queued("a", 1), queued("a", 2), queued("b", 1)})
	if errs[0] != nil || !errors.Is(errs[1], outbox.ErrUnavailable) || !errors.Is(errs[2], outbox.ErrUnavailable) {
		t.Error(errs)
	}
	w.left = 1000
	deliver(t, s, queued("a", 2))
	deliver(t, s, queued("b", 1))
	if diff := cmp.Diff("{\"id\":\"a.1\"}\n{\"id\":\"\n{\"id\":\"a.2\"}\n{\"id\":\"b.1\"}\n", w.String()); diff != "" {
		t.Error(diff)
	}
	if err := errors.Join(s.Reopen(), s.Close()); err != nil {
		t.Error(err)
	}
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

func TestWhatIsNotALineIsRejected(t *testing.T) {
	var w bytes.Buffer
	e := queued("a", 2)
	e.Payload = []byte("{\n}")
	errs := jsonl.New(&w).Deliver(t.Context(), []store.Queued{queued("a", 1), e, queued("a", 3)})
	if errs[0] != nil || !errors.Is(errs[1], outbox.ErrRejected) || errs[2] != nil {
		t.Error(errs)
	}
	if w.String() != "{\"id\":\"a.1\"}\n{\"id\":\"a.3\"}\n" {
		t.Error(w.String())
	}
}

func TestEndedContext(t *testing.T) {
	var w bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := jsonl.New(&w).Deliver(ctx, []store.Queued{queued("a", 1)})[0]; !errors.Is(err, context.Canceled) || w.Len() != 0 {
		t.Error(err, w.String())
	}
}

// BenchmarkFile is batches of 256 events, each synced.
func BenchmarkFile(b *testing.B) {
	s, err := jsonl.Open(filepath.Join(b.TempDir(), "events.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	events := make([]store.Queued, 256)
	for i := range events {
		events[i] = queued("a", int64(i))
		events[i].Payload = bytes.Repeat([]byte("x"), 500)
	}
	n := 0
	for b.Loop() {
		if err := errors.Join(s.Deliver(b.Context(), events)...); err != nil {
			b.Fatal(err)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
