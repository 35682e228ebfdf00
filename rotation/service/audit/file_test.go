package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/audit"
	"cvvrotation/sim/must"
)

// openFile opens an audit file with a clock that stands still.
func openFile(t testing.TB, path string) *audit.File {
	t.Helper()
	mock := clock.NewMock()
	mock.Set(now)
	f := must.Get(audit.OpenFile(path, audit.FileOptions{Create: true, Clock: mock}))(t)
	t.Cleanup(func() { f.Close() })
	return f
}

// record appends a record of the card.
func record(t testing.TB, f *audit.File, card string) {
	t.Helper()
	r := audit.Record{Operation: audit.OperationReveal, Outcome: audit.OutcomeDone, Card: card}
	must.Do(t, r.Write(context.Background(), slog.New(slog.NewJSONHandler(f, nil)), now))
}

// chainOf recomputes the chain of the lines as the documentation defines it, without
// the package's code. It returns a summary of each record, and of lines that are none.
func chainOf(t testing.TB, path string) (list []string) {
	t.Helper()
	previous, seq := strings.Repeat("0", 64), 0
	for line := range strings.Lines(string(must.Get(os.ReadFile(path))(t))) {
		var r map[string]any
		if json.Unmarshal([]byte(line), &r) != nil {
			list = append(list, "incomplete")
			continue
		}
		if r["hash"] == nil {
			list = append(list, "unchained")
			continue
		}
		seq++
		body, _, _ := strings.Cut(line, `,"hash":"`)
		sum := sha256.Sum256([]byte(previous + body))
		previous = hex.EncodeToString(sum[:])
		if r["seq"] != float64(seq) || r["hash"] != previous || !strings.HasSuffix(line, previous+"\"}\n") {
			t.Errorf("record %d is not chained: %s", seq, line)
		}
		text := fmt.Sprint(seq, " ", r["card"])
		if r["operation"] == string(audit.OperationContinueLog) {
			text = fmt.Sprint(seq, " after ", r["previous_seq"], " ", r["previous_hash"])
		}
		list = append(list, text)
	}
	return list
}

func lastHash(t testing.TB, path string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(must.Get(os.ReadFile(path))(t))), "\n")
	var r struct{ Hash string }
	must.Do(t, json.Unmarshal([]byte(lines[len(lines)-1]), &r))
	return r.Hash
}

func TestFile_ContinuesTheChainAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for i := range 3 {
		f := openFile(t, path)
		record(t, f, fmt.Sprint("a", i))
		record(t, f, fmt.Sprint("b", i))
		must.Do(t, f.Close())
		if _, err := f.Write([]byte("{\"a\":1}\n")); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	must.Equal(t, []string{"1 a0", "2 b0", "3 a1", "4 b1", "5 a2", "6 b2"}, chainOf(t, path))
	p, chained, err := openFile(t, path).Position()
	if p != (audit.Position{Seq: 6, Hash: lastHash(t, path)}) || !chained || err != nil {
		t.Error(p, chained, err)
	}
}

// TestFile_ContinuesAfterWhatACrashLeft: the chain continues after the last whole record.
func TestFile_ContinuesAfterWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	f := openFile(t, whole)
	record(t, f, "a")
	record(t, f, "b")
	text := string(must.Get(os.ReadFile(whole))(t))
	first := strings.Index(text, "\n") + 1
	for cut := range len(text) + 1 {
		path := filepath.Join(dir, "cut")
		must.Do(t, os.WriteFile(path, []byte(text[:cut]), 0o600))
		g := openFile(t, path)
		record(t, g, "c")
		record(t, g, "d")
		g.Close()
		var want []string
		switch {
		case cut == 0:
			want = []string{"1 c", "2 d"}
		case cut < first-1:
			want = []string{"incomplete", "1 c", "2 d"}
		case cut <= first:
			want = []string{"1 a", "2 c", "3 d"}
		case cut < len(text)-1:
			want = []string{"1 a", "incomplete", "2 c", "3 d"}
		default:
			want = []string{"1 a", "2 b", "3 c", "4 d"}
		}
		must.Equal(t, want, chainOf(t, path))
	}
	for name, end := range map[string]string{
		"zeros":         strings.Repeat("\x00", 5000),
		"a long hole":   strings.Repeat("\x00", 100_000) + "\n",
		"blank lines":   "\n\n\n",
		"many lines":    strings.Repeat("{\"time\":\n", 50_000),
		"a false place": `{"card":"x","seq":7,"hash":"` + strings.Repeat("g", 64) + "\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			must.Do(t, os.WriteFile(path, []byte(text+end), 0o600))
			record(t, openFile(t, path), "c")
			lines := strings.Split(string(must.Get(os.ReadFile(path))(t)), "\n")
			if last := lines[len(lines)-2]; !strings.Contains(last, `"card":"c","seq":3,"hash":"`) {
				t.Error(last)
			}
		})
	}
}

// TestFile_RecordsLongerThanTheWindow: the search for the last record reads further
// back if a line is long.
func TestFile_RecordsLongerThanTheWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var want []string
	for i, length := range []int{1, 4000, 4096, 5000, 70_000, 500_000, 1} {
		record(t, openFile(t, path), strings.Repeat("x", length))
		want = append(want, fmt.Sprint(i+1, " ", strings.Repeat("x", length)))
	}
	must.Equal(t, want, chainOf(t, path))
}

// TestFile_EarlierVersion: the chain begins after the records that have none.
func TestFile_EarlierVersion(t *testing.T) {
	old := `{"time":"2026-11-22T15:00:00Z","level":"INFO","msg":"audit","operation":"reveal"}` + "\n"
	for name, n := range map[string]int{"one": 1, "2 MiB": 2 << 20 / len(old)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			must.Do(t, os.WriteFile(path, []byte(strings.Repeat(old, n)), 0o600))
			record(t, openFile(t, path), "a")
			record(t, openFile(t, path), "b")
			list := chainOf(t, path)
			must.Equal(t, []string{"unchained", "1 a", "2 b"}, list[n-1:])
		})
	}
}

// TestFile_ManyWriters shares a file among several Files, as processes do.
func TestFile_ManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	const writers, records = 4, 100
	var wait sync.WaitGroup
	for range writers {
		f := openFile(t, path)
		wait.Go(func() {
			for range records {
				record(t, f, "a")
			}
		})
	}
	wait.Wait()
	if n := len(chainOf(t, path)); n != writers*records {
		t.Errorf("%d records", n)
	}
}

// TestFile_NewFileNamesTheEndOfTheOldOne covers what log rotation does to a file.
func TestFile_NewFileNamesTheEndOfTheOldOne(t *testing.T) {
	move := func(path string) error { return os.Rename(path, path+".1") }
	create := func(path string) error { return errors.Join(move(path), os.WriteFile(path, nil, 0o600)) }
	truncate := func(path string) error {
		text, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(path+".1", text, 0o600), os.Truncate(path, 0))
	}
	for name, row := range map[string]struct {
		rotate func(path string) error
		reopen bool
		other  bool     // another process writes to the new file first
		want   []string // X: "after 3" and the hash of record 3
		after  []string // after Reopen and Position; nil: not compared
	}{
		"moved":                           {move, true, false, []string{"1 X", "2 c"}, []string{"1 X"}},
		"moved without SIGHUP":            {move, false, false, []string{"1 X", "2 c"}, nil},
		"moved without a record":          {move, false, false, []string{"1 X", "2 c"}, []string{"1 X"}},
		"moved and created":               {create, true, false, []string{"1 X", "2 c"}, []string{"1 X"}},
		"created, and another was faster": {create, true, true, []string{"1 other", "2 X", "3 c"}, nil},
		"deleted":                         {func(path string) error { return errors.Join(os.Link(path, path+".1"), os.Remove(path)) }, false, false, []string{"1 X", "2 c"}, nil},
		"copied and truncated":            {truncate, true, false, []string{"1 Y", "2 c"}, nil},
		"truncated, and another":          {truncate, false, true, []string{"1 other", "2 Y", "3 c"}, nil},
		"not rotated":                     {func(string) error { return nil }, true, false, []string{"1 a", "2 b", "3 late", "4 c"}, nil},
		"not rotated, and another":        {func(string) error { return nil }, true, true, []string{"1 a", "2 b", "3 late", "4 other", "5 c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			f := openFile(t, path)
			record(t, f, "a")
			record(t, f, "b")
			own := lastHash(t, path)
			record(t, openFile(t, path), "late") // by another process
			end := lastHash(t, path)
			must.Do(t, row.rotate(path))
			if row.other {
				record(t, openFile(t, path), "other")
			}
			expect := func(want []string) {
				t.Helper()
				for i := range want {
					want[i] = strings.NewReplacer("X", "after 3 "+end, "Y", "after 2 "+own).Replace(want[i])
				}
				must.Equal(t, want, chainOf(t, path))
			}
			if row.reopen {
				must.Do(t, f.Reopen())
			}
			if row.after != nil {
				must.Equal(t, int64(1), firstOf(f.Position()).Seq)
				expect(row.after)
			}
			record(t, f, "c")
			expect(row.want)
		})
	}
}

func firstOf(p audit.Position, _ bool, _ error) audit.Position { return p }

// TestFile_FullDisk: a record that does not fit is an error, and the chain continues
// before its remains.
func TestFile_FullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	record(t, f, strings.Repeat("a", 500_000)) // the limit applies to the whole process, whose other files are shorter
	var before syscall.Rlimit
	must.Do(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	limit := before
	limit.Cur = uint64(must.Get(os.Stat(path))(t).Size() + 50)
	must.Do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	_, err1 := f.Write([]byte(`{"card":"` + strings.Repeat("b", 50) + "\"}\n"))
	_, err2 := f.Write([]byte("{\"card\":\"c\"}\n"))
	must.Do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
	if err1 == nil || err2 == nil {
		t.Error(err1, err2)
	}
	record(t, f, "d")
	must.Equal(t, []string{"1 " + strings.Repeat("a", 500_000), "incomplete", "2 d"}, chainOf(t, path))
}

func TestFile_RefusesWhatIsNoRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	for _, bad := range []string{"", "{}\n", "x\n", `{"a":1}`, "{\"a\":1}\n{\"b\":2}\n", "[1]\n", `{"a":"` + strings.Repeat("x", 512<<10) + "\"}\n"} {
		t.Run(bad[:min(len(bad), 20)], func(t *testing.T) {
			if _, err := f.Write([]byte(bad)); err == nil && bad != "" {
				t.Error("accepted")
			}
		})
	}
	record(t, f, "a")
	must.Equal(t, []string{"1 a"}, chainOf(t, path))
}

func TestOpenFile_RefusesMissingAndUnreadableFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if _, err := audit.OpenFile(path, audit.FileOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := audit.OpenFile(filepath.Dir(path), audit.FileOptions{Create: true}); err == nil {
		t.Error("a directory was opened")
	}
}

func TestFile_DeviceHasNoChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must.Do(t, syscall.Mkfifo(path, 0o600))
	got := make(chan string)
	go func() {
		text, _ := os.ReadFile(path)
		got <- string(text)
	}()
	f := openFile(t, path)
	if _, chained, err := f.Position(); chained || err != nil {
		t.Error(chained, err)
	}
	must.Get(f.Write([]byte("{\"a\":1}\n")))(t)
	must.Do(t, f.Close())
	must.Equal(t, "{\"a\":1}\n", <-got)
}

func BenchmarkFile(b *testing.B) {
	line := []byte(`{"time":"2026-11-22T15:00:01.123456789Z","level":"INFO","msg":"audit","issuer":"https://id.example","operation":"reveal","outcome":"done","card":"card-7c1e","account":"acme","version_before":1,"version":2,"by":"token","subject":"svc-1","subject_account":"acme","from":"203.0.113.9","request_id":"5ZJ4RY4QWVXG3LTOQ2ZC7ILX3M"}` + "\n")
	f := openFile(b, filepath.Join(b.TempDir(), "audit.jsonl"))
	for b.Loop() {
		if _, err := f.Write(line); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(bytes.TrimSpace(line))))
}
