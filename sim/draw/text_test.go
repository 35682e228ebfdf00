package draw

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

func drawText(t rapid.TB, rules rotation.Rules, steps []sim.Step, o TextOptions) string {
	t.Helper()
	var b strings.Builder
	text := NewText(&b, rules, o)
	for _, s := range steps {
		must.Do(t, text.Step(s))
	}
	must.Do(t, text.Close())
	return b.String()
}

func TestText_EqualsGoldenFile(t *testing.T) {
	for name, story := range drawn {
		t.Run(name, func(t *testing.T) {
			rules, steps := replay(t, story)
			golden(t, name+".txt", drawText(t, rules, steps, TextOptions{}))
			golden(t, name+"_80.txt", drawText(t, rules, steps, TextOptions{Width: 80}))
		})
	}
}

func TestText_PrintsTheKeyOnce(t *testing.T) {
	rules, steps := replay(t, drawn["s1"])
	whole := drawText(t, rules, steps, TextOptions{})
	without := drawText(t, rules, steps, TextOptions{NoKey: true})
	if !strings.Contains(without, guardWords(rules)) {
		t.Errorf("without the key, the rules are not named:\n%s", without)
	}
	if strings.Contains(without, "nothing was done") || !strings.Contains(whole, "nothing was done") {
		t.Errorf("the key is drawn where it should not be, or is not where it should:\n%s", without)
	}
	tail := func(s string) string { _, rows, _ := strings.Cut(s, "\n\n"); return rows }
	if tail(whole) != tail(without) {
		t.Errorf("leaving out the key changes what follows it:\n%s", without)
	}
}

// TestText_NamesGuardFromScheduling: the head says what the gap is measured from.
func TestText_NamesGuardFromScheduling(t *testing.T) {
	rules, steps := replay(t, "rules guard_from=scheduling\n"+drawn["chain"])
	if out := drawText(t, rules, steps, TextOptions{}); !strings.Contains(out, "since the last scheduling") {
		t.Errorf("no such head in\n%s", out)
	}
}

// squeeze leaves out white space, and with it where lines are broken.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// TestText_HoldsForRandomTimelines: whatever the timeline and the width, each event has its
// row, in order, and what explains it; and the terminal is safe.
func TestText_HoldsForRandomTimelines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := timelines(30).Draw(t, "timeline")
		o := TextOptions{Width: rapid.OneOf(rapid.Just(0), rapid.IntRange(40, 200)).Draw(t, "width"), NoKey: rapid.Bool().Draw(t, "no key")}
		var b strings.Builder
		text := NewText(&b, p.rules, o)
		for _, s := range p.steps {
			must.Do(t, text.Step(s))
		}
		must.Do(t, text.Close())
		out := b.String()
		if again := drawText(t, p.rules, p.steps, o); again != out {
			t.Fatalf("the same steps are drawn differently:\n%s\n%s", out, again)
		}
		for _, line := range strings.Split(out, "\n") {
			if o.Width > 0 && columns(line) > o.Width {
				t.Fatalf("%d columns, of %d: %q", columns(line), o.Width, line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Fatalf("white space at the end of %q", line)
			}
			for _, r := range line {
				if !unicode.IsPrint(r) {
					t.Fatalf("%q in %q", r, line)
				}
			}
		}
		_, body, _ := strings.Cut(squeeze(out), squeeze(guardWords(p.rules)))
		for i, s := range p.steps {
			at := squeeze(s.Entry.Event.At().Format(timeLayout) + printable(s.Entry.Card, text.form.card) + mark(s) + eventWords(s))
			_, rest, ok := strings.Cut(body, at)
			if !ok {
				t.Fatalf("event %d has no row %q in its place:\n%s", i, at, out)
			}
			body = rest
			if !kept(s) {
				continue
			}
			own := body
			if i+1 < len(p.steps) {
				next := p.steps[i+1]
				own, _, _ = strings.Cut(body, squeeze(mark(next)+eventWords(next)))
			}
			g, _ := gapOf(p.rules, s)
			if !strings.Contains(own, squeeze(gauge(g, text.form.gauge)+gapWords(g))) {
				t.Fatalf("event %d is held and has no gauge:\n%s", i, out)
			}
			if sentence := p.rules.Explain(s.Before, s.Entry.Event); !strings.Contains(own, squeeze(sentence)) {
				t.Fatalf("event %d is held and not explained, %q:\n%s", i, sentence, out)
			}
		}
	})
}

// TestText_OneRowForEachEvent: at full width, exactly one line an event begins with its time.
func TestText_OneRowForEachEvent(t *testing.T) {
	row := regexp.MustCompile(`(?m)^(....-..-..|          )  \d\d:\d\d:\d\d`)
	rapid.Check(t, func(t *rapid.T) {
		p := timelines(30).Draw(t, "timeline")
		out := drawText(t, p.rules, p.steps, TextOptions{})
		if rows := len(row.FindAllString(out, -1)); rows != len(p.steps) {
			t.Fatalf("%d rows of %d events:\n%s", rows, len(p.steps), out)
		}
	})
}

func TestGauge_ShowsTheDistanceFromTheGuard(t *testing.T) {
	const guard = 2 * time.Minute
	for _, c := range []struct {
		since time.Duration
		want  string
	}{
		{0, "├●───┤"}, {guard / 2, "├──●─┤"}, {guard - 1, "├───●┤"}, {-guard + 1, "├───●┤"}, {-1, "├●───┤"},
		{guard, "├────┤●"}, {guard + 1, "├────┤●"}, {4*guard - 1, "├────┤●"}, {4 * guard, ""}, {-guard, ""},
	} {
		if got := gauge(gap{c.since, guard}, 4); got != c.want {
			t.Errorf("%v: %s, want %s", c.since, got, c.want)
		}
	}
	const years = 20_000 * time.Hour // of which a float64 does not tell the last nanosecond
	if got := gauge(gap{years - 1, years}, 4); got != "├───●┤" {
		t.Errorf("a nanosecond before the end of a long guard: %s", got)
	}
}

// TestText_StreamsLongTimelines: beyond what is held back, rows keep their columns and nothing
// is kept of them.
func TestText_StreamsLongTimelines(t *testing.T) {
	const many = 40 * lookahead
	replay := sim.NewReplay(rotation.Rules{})
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	step := func(i int) sim.Step {
		e := rotation.Forced(at.Add(time.Duration(i/2) * time.Hour))
		if i < 2 {
			e = rotation.SetInterval(at, 24*time.Hour)
		}
		return must.Get(replay.Apply(timeline.Entry{Card: string(rune('A' + i%2)), Event: e}))(t)
	}
	var b strings.Builder
	text := NewText(&b, rotation.Rules{}, TextOptions{})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	to := func(w io.Writer) {
		text.out.w.Flush()
		text.out.w.Reset(w)
	}
	var before uint64
	for i := range many {
		if i == lookahead {
			to(io.Discard) // the first rows are in b, the next are drawn for the measure alone
			before = heap()
		}
		if i == many-lookahead {
			if grown := int64(heap()) - int64(before); grown > 256<<10 {
				t.Errorf("%d bytes more after %d rows", grown, i)
			}
			to(&b)
		}
		must.Do(t, text.Step(step(i)))
	}
	must.Do(t, text.Close())
	column := 0
	for _, line := range strings.Split(b.String(), "\n") {
		head, _, ok := strings.Cut(line, "→ 2")
		if !ok {
			continue
		}
		if column == 0 {
			column = columns(head)
		}
		if columns(head) != column {
			t.Fatalf("column %d, before %d: %s", columns(head), column, line)
		}
	}
}

// TestFlow_WrapsWithinTheWidth: lines break between pieces, then between words, then anywhere.
func TestFlow_WrapsWithinTheWidth(t *testing.T) {
	for _, c := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"one", "two", "three"}, "one  two|  three"},
		{[]string{"one", "two three four five"}, "one|  two|  three|  four|  five"},
		{[]string{"0123456789"}, "0123456789"},
		{[]string{"0123456789abcdefghij"}, "0123456789|  abcdefgh|  ij"},
		{[]string{"012345678 abc"}, "012345678|  abc"},
		{[]string{"0123456789 abc"}, "0123456789|  abc"},
		{[]string{"0123456789a bc"}, "0123456789|  a bc"},
	} {
		var b strings.Builder
		p := printer{w: bufio.NewWriter(&b), width: 10}
		var pieces []piece
		for _, text := range c.pieces {
			pieces = append(pieces, piece{text, plain})
		}
		p.flow(pieces, 2, 0, 2)
		p.w.Flush()
		if got := strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n", "|"); got != c.want {
			t.Errorf("%q: %s, want %s", c.pieces, got, c.want)
		}
	}
}

func TestText_ReturnsTheWritersError(t *testing.T) {
	rules, steps := replay(t, drawn["sixty"])
	size := len(drawText(t, rules, steps, TextOptions{}))
	for after := 0; after < size; after += size / 7 {
		text := NewText(&cannotWrite{after}, rules, TextOptions{})
		var errs []error
		for range lookahead / len(steps) * 2 {
			for _, s := range steps {
				errs = append(errs, text.Step(s))
			}
		}
		if err := errors.Join(append(errs, text.Close())...); !errors.Is(err, errCannotWrite) {
			t.Errorf("failing after %d bytes: %v", after, err)
		}
	}
	if err := NewText(&cannotWrite{}, rules, TextOptions{}).Close(); !errors.Is(err, errCannotWrite) {
		t.Errorf("what Close could not write: %v", err)
	}
}

func TestPrintable_ReplacesControlCharacters(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"A", "A"}, {`"`, `"`}, {`\`, `\\`}, {"\x1b[31m", `\x1b[31m`}, {"\u202e", `\u202e`}, {"\xff", `\xff`}, {"卡片", "卡片"},
		{"0123456789abcdef", "01234…cdef"}, {strings.Repeat("𝒳", 1000), "𝒳𝒳𝒳𝒳𝒳…𝒳𝒳𝒳𝒳"},
	} {
		if got := printable(c.in, 10); got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
	for _, card := range hostileCards {
		for limit := 4; limit < 40; limit++ {
			if n := columns(printable(card, limit)); n > limit {
				t.Errorf("%.20q: %d columns, of %d", card, n, limit)
			}
		}
	}
}
