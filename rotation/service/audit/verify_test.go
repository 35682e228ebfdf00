package audit_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cvvrotation/rotation/service/audit"
	"cvvrotation/sim/must"
)

// five returns the lines of a file with five records.
func five(t testing.TB) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	for i := range 5 {
		record(t, f, fmt.Sprint("card-", i+1))
	}
	return linesOf(t, path)
}

func linesOf(t testing.TB, path string) []string {
	t.Helper()
	return slices.Collect(strings.Lines(string(must.Get(os.ReadFile(path))(t))))
}

// problems checks files, named 1, 2 and so on, and returns the problems.
func problems(t testing.TB, files ...[]string) (list []string, v audit.Verifier) {
	t.Helper()
	for i, lines := range files {
		must.Do(t, v.File(fmt.Sprint(i+1), strings.NewReader(strings.Join(lines, ""))))
	}
	for _, p := range v.Problems {
		list = append(list, fmt.Sprintf("%s:%d: %s %d", p.File, p.Line, p.Kind, p.Seq))
	}
	return list, v
}

func TestVerifier_FindsChangedFiles(t *testing.T) {
	old := `{"msg":"audit","operation":"reveal"}` + "\n"
	for name, row := range map[string]struct {
		change func(l []string) []string
		want   []string
	}{
		"unchanged":              {func(l []string) []string { return l }, nil},
		"removed at the end":     {func(l []string) []string { return l[:4] }, nil}, // undetectable
		"no line end":            {func(l []string) []string { l[4] = strings.TrimSuffix(l[4], "\n"); return l }, nil},
		"earlier version":        {func(l []string) []string { return append([]string{old, old}, l...) }, nil},
		"incomplete":             {func(l []string) []string { return slices.Insert(l, 2, l[3][:20]+"\n") }, nil},
		"blank lines":            {func(l []string) []string { return slices.Insert(l, 2, "\n", "\n") }, nil},
		"removed":                {func(l []string) []string { return slices.Delete(l, 2, 3) }, []string{"1:3: missing 3"}},
		"several removed":        {func(l []string) []string { return slices.Delete(l, 1, 4) }, []string{"1:2: missing 2"}},
		"two gaps":               {func(l []string) []string { return []string{l[0], l[2], l[4]} }, []string{"1:2: missing 2", "1:3: missing 4"}},
		"beginning removed":      {func(l []string) []string { return l[2:] }, []string{"1:1: missing 1"}},
		"altered":                {func(l []string) []string { l[2] = strings.Replace(l[2], "card-3", "card-4", 1); return l }, []string{"1:3: altered 3"}},
		"first altered":          {func(l []string) []string { l[0] = strings.Replace(l[0], "card-1", "card-4", 1); return l }, []string{"1:1: altered 1"}},
		"last altered":           {func(l []string) []string { l[4] = strings.Replace(l[4], "card-5", "card-4", 1); return l }, []string{"1:5: altered 5"}},
		"carriage return":        {func(l []string) []string { l[4] = strings.Replace(l[4], "\n", "\r\n", 1); return l }, []string{"1:5: inserted 0"}},
		"space at the end":       {func(l []string) []string { l[1] = strings.Replace(l[1], "\n", " \n", 1); return l }, []string{"1:2: inserted 0", "1:3: missing 2"}},
		"swapped":                {func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, []string{"1:3: moved 2"}},
		"moved to the end":       {func(l []string) []string { return []string{l[0], l[2], l[3], l[4], l[1]} }, []string{"1:5: moved 2"}},
		"moved to the beginning": {func(l []string) []string { return []string{l[4], l[0], l[1], l[2], l[3]} }, []string{"1:2: moved 1", "1:3: moved 2", "1:4: moved 3", "1:5: moved 4"}},
		"moved out of a gap":     {func(l []string) []string { return []string{l[0], l[4], l[2]} }, []string{"1:2: missing 2", "1:2: missing 4", "1:3: moved 3"}},
		"repeated":               {func(l []string) []string { return slices.Insert(l, 3, l[1]) }, []string{"1:4: inserted 2"}},
		"repeated at the end":    {func(l []string) []string { return append(l, l[4]) }, []string{"1:6: inserted 5"}},
		"inserted":               {func(l []string) []string { return slices.Insert(l, 3, old) }, []string{"1:4: inserted 0"}},
		"inserted text":          {func(l []string) []string { return slices.Insert(l, 3, "hello\n") }, []string{"1:4: inserted 0"}},
		"inserted before":        {func(l []string) []string { return append([]string{"hello\n"}, l...) }, []string{"1:1: inserted 0"}},
		"inserted after a cut":   {func(l []string) []string { return []string{l[2], old, l[3]} }, []string{"1:1: missing 1", "1:2: inserted 0"}},
		"without its place":      {func(l []string) []string { l[2] = l[2][:strings.Index(l[2], `,"seq"`)] + "}\n"; return l }, []string{"1:3: inserted 0", "1:4: missing 3"}},
		"another hash":           {func(l []string) []string { l[2] = l[2][:len(l[2])-4] + "0" + l[2][len(l[2])-3:]; return l }, []string{"1:3: altered 3", "1:4: altered 4"}},
		"hash in capitals": {func(l []string) []string {
			i := strings.Index(l[2], `"hash"`)
			l[2] = l[2][:i] + strings.Replace(strings.ToUpper(l[2][i:]), "HASH", "hash", 1)
			return l
		}, []string{"1:3: inserted 0", "1:4: missing 3"}},
		"seq with a zero":   {func(l []string) []string { l[2] = strings.Replace(l[2], `"seq":3`, `"seq":03`, 1); return l }, []string{"1:4: missing 3"}},
		"seq too high":      {func(l []string) []string { l[2] = strings.Replace(l[2], `"seq":3`, `"seq":300`, 1); return l }, []string{"1:3: altered 3"}},
		"seq too low":       {func(l []string) []string { l[2] = strings.Replace(l[2], `"seq":3`, `"seq":2`, 1); return l }, []string{"1:3: altered 3"}},
		"last seq too high": {func(l []string) []string { l[4] = strings.Replace(l[4], `"seq":5`, `"seq":7`, 1); return l }, []string{"1:5: missing 5"}},
		"two seqs swapped": {func(l []string) []string {
			l[1], l[2] = strings.Replace(l[1], `"seq":2`, `"seq":3`, 1), strings.Replace(l[2], `"seq":3`, `"seq":2`, 1)
			return l
		}, []string{"1:3: moved 2", "1:4: altered 4"}},
		"seq 0":             {func(l []string) []string { l[2] = strings.Replace(l[2], `"seq":3`, `"seq":0`, 1); return l }, []string{"1:3: inserted 0", "1:4: missing 3"}},
		"chain begun again": {func(l []string) []string { return append(slices.Clone(l), l[0], l[1]) }, []string{"1:6: inserted 1", "1:7: inserted 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			list, _ := problems(t, row.change(five(t)))
			must.Equal(t, row.want, list)
		})
	}
}

// TestVerifier_FindsEveryAlteredByte alters each byte. Only damage to the last record
// is indistinguishable from a crash, and it is reported as such.
func TestVerifier_FindsEveryAlteredByte(t *testing.T) {
	text := strings.Join(five(t), "")
	lastLine := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n") + 1
	for i := range len(text) {
		for _, c := range []byte{text[i] ^ 1, 'x', ' ', '"', '\n', 0, '}'} {
			if c == text[i] {
				continue
			}
			list, v := problems(t, []string{text[:i], string(c), text[i+1:]})
			crash := i >= lastLine && v.Files[0].Incomplete > 0 && v.Files[0].Last.Seq == 4
			if len(list) == 0 && !crash {
				t.Errorf("byte %d became %q: no problem", i, c)
			}
		}
	}
}

func TestVerifier_Reports(t *testing.T) {
	l := five(t)
	old := `{"msg":"audit"}` + "\n"
	_, v := problems(t, slices.Concat([]string{old, old}, l[:2], []string{l[2][:30] + "\n", "\x00\x00\n"}, l[2:]))
	_, last, _ := strings.Cut(l[4], `"hash":"`)
	must.Equal(t, []audit.FileReport{{
		File: "1", Records: 5, Last: audit.Position{Seq: 5, Hash: last[:64]}, Unchained: 2, Incomplete: 2, FirstIncomplete: 5,
	}}, v.Files)
}

// rotated returns the files that three rotations leave, oldest first.
func rotated(t testing.TB) (files [][]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	for i := range 3 {
		record(t, f, "a")
		record(t, f, "b")
		old := fmt.Sprint(path, ".", i)
		must.Do(t, os.Rename(path, old))
		must.Do(t, f.Reopen())
		files = append(files, linesOf(t, old))
	}
	return append(files, linesOf(t, path))
}

func TestVerifier_FollowsRotatedFiles(t *testing.T) {
	late := func(lines []string) []string { // another process appends to the old file
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		must.Do(t, os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600))
		record(t, openFile(t, path), "late")
		return linesOf(t, path)
	}
	for name, row := range map[string]struct {
		change func(f [][]string) [][]string
		want   []string
	}{
		"unchanged":             {func(f [][]string) [][]string { return f }, nil},
		"an empty file":         {func(f [][]string) [][]string { return slices.Insert(f, 1, []string{}) }, nil},
		"oldest not given":      {func(f [][]string) [][]string { return f[1:] }, nil},
		"late record":           {func(f [][]string) [][]string { f[0] = late(f[0]); return f }, nil},
		"end removed":           {func(f [][]string) [][]string { f[0] = f[0][:1]; return f }, []string{"2:1: missing 2"}},
		"file removed":          {func(f [][]string) [][]string { return slices.Delete(f, 1, 2) }, []string{"2:1: missing 3"}},
		"newest first":          {func(f [][]string) [][]string { return [][]string{f[1], f[0]} }, []string{"2:1: linked 2"}}, // the oldest names none
		"newest first of three": {func(f [][]string) [][]string { return [][]string{f[1], f[2], f[0]} }, []string{"3:1: linked 2"}},
		"twice":                 {func(f [][]string) [][]string { return [][]string{f[0], f[1], f[0]} }, []string{"3:1: linked 2"}},
		"three, newest first":   {func(f [][]string) [][]string { return [][]string{f[3], f[2], f[1]} }, []string{"2:1: missing 2", "3:1: linked 2"}},
		"end replaced": {func(f [][]string) [][]string {
			f[0][1] = five(t)[1] // chained to another first record
			return f
		}, []string{"1:2: altered 2", "2:1: linked 2"}},
		"first record removed": {func(f [][]string) [][]string { f[2] = f[2][1:]; return f }, []string{"3:1: missing 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			list, v := problems(t, row.change(rotated(t))...)
			must.Equal(t, row.want, list)
			if name == "unchanged" {
				for i, f := range v.Files[1:] {
					must.Equal(t, v.Files[i].Last, f.Continues)
				}
			}
		})
	}
}

func TestVerifier_ListsAMaximumOfProblems(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	for range 1500 {
		record(t, f, "a")
	}
	lines := linesOf(t, path)
	var odd, altered []string
	for i, line := range lines {
		if i%2 == 0 {
			odd = append(odd, line)
		}
		altered = append(altered, strings.Replace(line, `"card":"a"`, `"card":"b"`, 1))
	}
	for name, row := range map[string]struct {
		lines []string
		all   int
		line  int
	}{
		"gaps":               {odd, 749, 2},
		"altered":            {altered, 1500, 1},
		"moved to the end":   {append(slices.Clone(lines[1400:]), lines[:1400]...), 1400, 101},
		"all but the newest": {lines[1499:], 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, v := problems(t, row.lines)
			if len(v.Problems) != min(row.all, audit.MaxProblems) || len(v.Problems)+v.Unlisted != row.all || v.Problems[0].Line != row.line {
				t.Errorf("%d problems and %d more, the first %+v", len(v.Problems), v.Unlisted, v.Problems[0])
			}
		})
	}
}

func TestVerifier_ReadsGzip(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for i, line := range five(t) {
		io.WriteString(w, line)
		if i == 2 { // gzip files may be concatenated
			w.Close()
			w = gzip.NewWriter(&b)
		}
	}
	w.Close()
	var v audit.Verifier
	must.Do(t, v.File("a.gz", bytes.NewReader(b.Bytes())))
	if len(v.Problems) != 0 || v.Files[0].Records != 5 {
		t.Errorf("%+v", v)
	}
	for name, text := range map[string][]byte{"cut off": b.Bytes()[:b.Len()-20], "magic alone": b.Bytes()[:2], "altered": append(b.Bytes()[:b.Len()-6:b.Len()-6], "xxxxxx"...)} {
		t.Run(name, func(t *testing.T) {
			var v audit.Verifier
			if err := v.File("a.gz", bytes.NewReader(text)); !errors.Is(err, audit.ErrInput) || !strings.HasPrefix(err.Error(), "a.gz: ") {
				t.Error(err)
			}
		})
	}
}

func TestVerifier_RefusesEndlessLines(t *testing.T) {
	var v audit.Verifier
	lines := five(t)
	lines[1] = strings.Replace(lines[1], "card-2", "card-3", 1)
	err := v.File("a", strings.NewReader(strings.Join(lines, "")+strings.Repeat("x", 2<<20)))
	if !errors.Is(err, audit.ErrInput) || !strings.Contains(err.Error(), "line 6 is longer than 1 MiB") {
		t.Error(err)
	}
	if len(v.Problems) != 1 {
		t.Errorf("what was found before the error was lost: %+v", v)
	}
}

// FuzzVerifier checks arbitrary text, which must not panic, and has a problem or is
// covered by the report.
func FuzzVerifier(f *testing.F) {
	lines := five(f)
	for _, line := range lines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, v := problems(t, append(slices.Insert(slices.Clone(lines), 3, text), "\n"))
		if len(list) == 0 && v.Files[0].Records != 5 {
			t.Errorf("%+v", v)
		}
	})
}

// TestVerifier_LateRecordsOfALongFile: another process appends to the old file after
// the new one has named its end.
func TestVerifier_LateRecordsOfALongFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f, late := openFile(t, path), openFile(t, path)
	for range 1000 {
		record(t, f, "a")
	}
	must.Do(t, os.Rename(path, path+".1"))
	must.Do(t, f.Reopen())
	for range 10 {
		record(t, late, "late")
	}
	list, v := problems(t, linesOf(t, path+".1"), linesOf(t, path))
	if len(list) != 0 || v.Files[1].Continues.Seq != 1000 || v.Files[0].Last.Seq != 1010 {
		t.Errorf("%v: %+v", list, v.Files)
	}
}

// TestVerifier_LinkBehindAGap: the record that names the old file's end follows a
// removed one, among lines that fill the buffer of the reader.
func TestVerifier_LinkBehindAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, path)
	record(t, f, "a")
	must.Do(t, os.Rename(path, path+".1"))
	other := openFile(t, path)
	long := strings.Repeat("x", 40_000)
	record(t, other, long)
	record(t, other, "removed")
	must.Do(t, f.Reopen())
	record(t, f, long+long[:10_000])
	list, v := problems(t, linesOf(t, path+".1"), slices.Delete(linesOf(t, path), 1, 2))
	must.Equal(t, []string{"2:2: missing 2"}, list)
	must.Equal(t, v.Files[0].Last, v.Files[1].Continues)
}
