package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

// TextOptions say for which kind of terminal a text is. The zero value is for a
// file or a pipe.
type TextOptions struct {
	Color bool // whether to use the terminal's colours; default no
	Width int  // in columns; 0, the default, or less for no limit

	// NoKey leaves out the key to the symbols, for where a drawing before has
	// shown it; the rules are still named. Default: the key is drawn.
	NoKey bool
}

// lookahead is how many steps are read before the widths of columns are chosen.
const lookahead = 500

// Text draws steps as lines of text, one or more a step. It holds back the
// first 500 steps, and beyond that keeps one entry a card, so that a timeline of
// any length is drawn in constant memory. It is for one goroutine at a time;
// make one with [NewText].
type Text struct {
	rules  rotation.Rules
	out    printer
	noKey  bool
	ahead  []sim.Step // until the layout is chosen
	chosen bool
	form   form
	widths [numColumns]int
	last   time.Time            // the instant of the row before
	clocks map[string]time.Time // the newest instant of each card
	sum    summary
}

// summary counts what the last line tells.
type summary struct {
	cards                   map[string]struct{}
	events, rotations, idle int
	scheduled, kept         int
	scenario                [4]int
}

// NewText returns a Text that draws steps decided under the rules to w.
func NewText(w io.Writer, rules rotation.Rules, o TextOptions) *Text {
	return &Text{
		rules:  rules,
		out:    printer{w: bufio.NewWriter(w), width: max(0, o.Width), color: o.Color},
		noKey:  o.NoKey,
		clocks: make(map[string]time.Time),
		sum:    summary{cards: make(map[string]struct{})},
	}
}

// Step draws the next step. Its error is the writer's.
func (t *Text) Step(s sim.Step) error {
	t.sum.add(s)
	if t.chosen {
		t.draw(s)
		return t.err()
	}
	t.ahead = append(t.ahead, s)
	if len(t.ahead) == lookahead {
		t.begin()
	}
	return t.err()
}

// Flush draws what was held back, without a summary: for a timeline that broke
// off. No step can follow.
func (t *Text) Flush() error {
	if !t.chosen {
		t.begin()
	}
	if err := t.out.w.Flush(); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// Close draws what was held back and a summary, and flushes. It does not close
// the writer.
func (t *Text) Close() error {
	if !t.chosen {
		t.begin()
	}
	if t.sum.events > 0 {
		t.out.newline()
	}
	t.out.flow(words(t.sum.String(), plain), 1, 0, columnGap)
	if err := t.out.w.Flush(); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// err returns the error that the buffered writer has kept, if any.
func (t *Text) err() error {
	if _, err := t.out.w.Write(nil); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// begin chooses the layout, and draws the legend and the steps held back.
func (t *Text) begin() {
	t.chosen = true
	for _, t.form = range forms {
		if t.measure() <= t.out.width || t.out.width == 0 {
			break
		}
	}
	t.out.flow(words(guardWords(t.rules), bold), 1, 0, columnGap)
	if !t.noKey {
		for _, line := range key(t.rules) {
			t.out.flow(line, 3, 0, columnGap)
		}
	}
	if t.sum.events > 0 {
		t.out.newline()
	}
	if t.form.date && len(t.ahead) > 0 {
		var heads []piece
		for i, head := range columnHeads(t.rules) {
			if t.widths[i] == 0 {
				head = ""
			}
			heads = append(heads, piece{head, faint})
		}
		t.out.table(heads, t.widths[:])
	}
	for _, s := range t.ahead {
		t.draw(s)
	}
	t.ahead = nil
}

// measure sets the widths of the columns, and returns that of the whole line.
func (t *Text) measure() (total int) {
	t.widths = [numColumns]int{}
	if t.form.date {
		t.widths[columnDate] = len(dateLayout)
	}
	for _, s := range t.ahead {
		cells := row(t.rules, s, t.form)
		t.form.below(t.rules, s, &cells)
		for i, c := range cells {
			t.widths[i] = max(t.widths[i], columns(c.text))
		}
	}
	heads := columnHeads(t.rules)
	for i, w := range t.widths {
		if w == 0 {
			continue
		}
		if t.form.date { // the heads are drawn
			t.widths[i] = max(w, columns(heads[i]))
		}
		total += t.widths[i] + columnGap
	}
	return total - columnGap
}

func (t *Text) draw(s sim.Step) {
	at := s.Entry.Event.At()
	cells := row(t.rules, s, t.form)
	if !sameDay(at, t.last) {
		cells[columnDate] = piece{at.Format(dateLayout), bold}
	}
	card := s.Entry.Card
	if back := t.clocks[card].Sub(at); back > 0 {
		t.out.flow(words("← the clock of "+printable(card, t.form.card)+" stepped back by "+coarse(back), faint), 1, 0, columnGap)
	}
	t.clocks[card] = at
	if !t.form.date && cells[columnDate].text != "" {
		t.out.flow([]piece{{at.Format(dateLayout + " Mon"), bold}}, 0, 0, 0)
		cells[columnDate] = piece{}
	}
	t.last = at

	lines := t.form.below(t.rules, s, &cells)
	t.out.table(cells[:], t.widths[:])
	indent := columnGap
	if !t.form.nextBelow {
		for _, w := range t.widths[:columnEvent] {
			if w > 0 {
				indent += w + columnGap
			}
		}
	}
	for _, line := range lines {
		t.out.flow(line, columnGap, indent, indent)
	}
	if sentence := explanation(t.rules, s); sentence != nil {
		t.out.flow(sentence, 1, indent, indent)
	}
}

func sameDay(a, b time.Time) bool {
	return a.Year() == b.Year() && a.YearDay() == b.YearDay()
}

// summarize returns the summary of the steps.
func summarize(steps []sim.Step) string {
	sum := summary{cards: make(map[string]struct{})}
	for _, s := range steps {
		sum.add(s)
	}
	return sum.String()
}

func (m *summary) add(s sim.Step) {
	m.cards[s.Entry.Card] = struct{}{}
	m.events++
	if s.Decision.Rotate() {
		m.rotations++
	}
	if s.Decision.Reschedule() {
		m.scheduled++
	}
	if kept(s) {
		m.kept++
		m.scenario[s.Decision.Scenario]++
	}
	if idle(s) {
		m.idle++
	}
}

// String is the summary, such as "4 events of 2 cards: 3 rotations; schedules: 3
// new, 1 kept (S1 1)."
func (m *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s: %s; schedules: %d new, %d kept",
		count(m.events, "event"), count(len(m.cards), "card"), count(m.rotations, "rotation"), m.scheduled, m.kept)
	sep := " ("
	for n, held := range m.scenario {
		if n > 0 && held > 0 {
			fmt.Fprintf(&b, "%sS%d ×%d", sep, n, held)
			sep = ", "
		}
	}
	if sep == ", " {
		b.WriteString(")")
	}
	if m.idle > 0 {
		fmt.Fprintf(&b, "; nothing done: %d", m.idle)
	}
	return b.String() + "."
}
