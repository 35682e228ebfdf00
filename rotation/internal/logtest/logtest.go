// Package logtest captures what components log in tests.
package logtest

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"cvvrotation/sim/must"
)

// Buffer is a buffer that several goroutines may write. The zero value is empty.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Text returns a logger that writes lines of key=value pairs.
func (b *Buffer) Text() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// JSON returns a logger that writes lines of JSON.
func (b *Buffer) JSON() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

// Records decodes lines of JSON. It ends the test if they are none.
func (b *Buffer) Records(t testing.TB) (records []map[string]any) {
	t.Helper()
	for decoder := json.NewDecoder(strings.NewReader(b.String())); ; {
		var record map[string]any
		err := decoder.Decode(&record)
		if err == io.EOF {
			return records
		}
		must.Do(t, err)
		records = append(records, record)
	}
}
