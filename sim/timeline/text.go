package timeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// splitText returns the words of a line of the text spelling. A word that
// begins with # opens a comment. The second word may be quoted as in Go; it is
// returned without the quotes.
func splitText(text string) ([]string, error) {
	words, plain := strings.Fields(text), 0 // words before plain cannot open a comment
	if len(words) > 1 && words[1][0] == '"' && words[0][0] != '#' {
		rest := strings.TrimSpace(strings.TrimSpace(text)[len(words[0]):])
		literal, err := strconv.QuotedPrefix(rest)
		if rest = strings.TrimPrefix(rest, literal); err != nil || rest != "" && strings.TrimSpace(rest[:1]) != "" {
			return nil, syntaxErrorf("a quoted card id has no end, or a bad escape")
		}
		card, _ := strconv.Unquote(literal) // a prefix that QuotedPrefix has checked
		words, plain = append([]string{words[0], card}, strings.Fields(rest)...), 2
	}
	for i := plain; i < len(words); i++ {
		if words[i][0] == '#' {
			return words[:i], nil
		}
	}
	return words, nil
}

// textRules reads the line "rules guard=… guard_from=…", without its first word.
func textRules(words []string) (rotation.Rules, error) {
	var guard, guardFrom string
	err := eachPair(words, func(key, value string) error {
		switch key {
		case keyGuard:
			guard = value
		case keyGuardFrom:
			guardFrom = value
		default:
			return syntaxErrorf("unknown key %s: rules are guard and guard_from", quoted([]byte(key)))
		}
		return nil
	})
	if err != nil {
		return rotation.Rules{}, err
	}
	return parseRules(guard, guardFrom)
}

// textEntry reads an event line. The instant may be a duration after previous,
// which is the zero time where no line stands before.
func textEntry(words []string, previous time.Time) (Entry, time.Time, error) {
	var l line
	if after, relative := strings.CutPrefix(words[0], "+"); relative {
		if previous.IsZero() {
			return Entry{}, previous, syntaxErrorf("%s needs a previous line to count from", quoted([]byte(words[0])))
		}
		if strings.HasPrefix(after, "+") || strings.HasPrefix(after, "-") {
			return Entry{}, previous, syntaxErrorf("%s is not + and a duration", quoted([]byte(words[0])))
		}
		d, err := parseDuration(keyAt, after)
		if err != nil {
			return Entry{}, previous, err
		}
		l.at, l.hasAt = previous.Add(d), true
	} else if err := l.setText(keyAt, []byte(words[0])); err != nil {
		return Entry{}, previous, err
	}
	if len(words) > 1 {
		if l.card = words[1]; !utf8.ValidString(l.card) {
			return Entry{}, l.at, syntaxErrorf("the card is not valid UTF-8")
		}
	}
	if len(words) > 2 {
		if err := l.setText(keyEvent, []byte(words[2])); err != nil {
			return Entry{}, l.at, err
		}
		given, expected := words[3:], []string(nil)
		if i := slices.Index(given, "=>"); i >= 0 {
			given, expected = given[:i], given[i+1:]
		}
		if err := eachPair(given, l.setGiven); err != nil {
			return Entry{}, l.at, err
		}
		if err := eachPair(expected, l.setExpected); err != nil {
			return Entry{}, l.at, err
		}
	}
	e, err := l.entry()
	return e, l.at, err
}

func (l *line) setGiven(key, value string) error {
	switch key {
	case keyServiceCode, keySlot, keyInterval, keyFirst:
		return l.setText(key, []byte(value))
	}
	return syntaxErrorf("unknown key %s before =>", quoted([]byte(key)))
}

func (l *line) setExpected(key, value string) error {
	switch key {
	case keyRotate, keyReschedule:
		if value != "true" && value != "false" {
			return syntaxErrorf("%s is neither true nor false", key)
		}
		return l.setBool(key, value == "true")
	case keyScenario, keyMissed:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return syntaxErrorf("%s is not a whole number", key)
		}
		return l.setInt(key, n)
	case keyNext:
		if value == "null" {
			l.setNull(key)
			return nil
		}
		return l.setText(key, []byte(value))
	case keyInterval:
		l.setNull(key)
		if value == "null" {
			return nil
		}
		var err error
		l.expect.Interval, err = parseDuration(key, value)
		return err
	case keyReason:
		return l.setText(key, []byte(value))
	}
	return syntaxErrorf("unknown key %s after =>", quoted([]byte(key)))
}

// eachPair calls set with each key and value; a key may stand once.
func eachPair(words []string, set func(key, value string) error) error {
	for i, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || value == "" {
			return syntaxErrorf("a key=value pair is needed, not a word of %d characters without one", utf8.RuneCountInString(w))
		}
		for _, before := range words[:i] {
			if strings.HasPrefix(before, key+"=") {
				return syntaxErrorf("%s is given twice", quoted([]byte(key)))
			}
		}
		if err := set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// appendText appends e as a line of the text spelling.
func appendText(b []byte, e Entry) ([]byte, error) {
	if e.Card == "" || !utf8.ValidString(e.Card) {
		return b, fmt.Errorf("a card id that is empty or no valid UTF-8: %w", ErrSpelling)
	}
	card := e.Card
	if card[0] == '#' || card[0] == '"' || strings.ContainsFunc(card, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		card = strconv.Quote(card)
	}
	var w []string
	if e.ServiceCode != (servicecode.Code{}) {
		w = append(w, "service_code="+e.ServiceCode.String())
	}
	if slot, ok := e.Event.Slot(); ok {
		w = append(w, "slot="+formatNext(slot))
	}
	if e.Event.Kind() == rotation.KindSetInterval {
		w = append(w, "interval="+rotation.FormatDuration(e.Event.Interval()))
	}
	if first, ok := e.Event.First(); ok {
		w = append(w, "first="+formatNext(first))
	}
	b = fmt.Appendf(b, "%-20s  %s  %-12s", e.Event.At().Format(time.RFC3339Nano), card, e.Event.Kind())
	if len(w) > 0 {
		b = fmt.Appendf(b, " %s", strings.Join(w, " "))
	}
	if x := e.Expect; x.Fields != 0 {
		b = fmt.Appendf(b, "  => %s", x)
	}
	return append(b, '\n'), nil
}

// String returns the expectation as the text spelling has it after =>.
func (x Expect) String() string {
	var w []string
	add := func(f Field, key string, value any) {
		if x.Fields&f != 0 {
			w = append(w, fmt.Sprintf("%s=%v", key, value))
		}
	}
	add(FieldRotate, "rotate", x.Rotate)
	add(FieldReschedule, "reschedule", x.Reschedule)
	add(FieldReason, "reason", x.Reason)
	add(FieldScenario, "scenario", x.Scenario)
	add(FieldMissed, "missed", x.Missed)
	add(FieldNext, "next", formatNext(x.Next))
	add(FieldInterval, "interval", formatInterval(x.Interval))
	return strings.Join(w, " ")
}
