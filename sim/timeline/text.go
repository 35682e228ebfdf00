package timeline

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// splitText returns the words of a line of the text spelling. A word that
// begins with # opens a comment.
func splitText(text string) []string {
	words := strings.Fields(text)
	for i, w := range words {
		if w[0] == '#' {
			return words[:i]
		}
	}
	return words
}

// textRules reads the line "rules guard=… guard_from=…", without its first word.
func textRules(words []string) (rotation.Rules, error) {
	var guard, guardFrom *string
	err := eachPair(words, func(key, value string) error {
		switch key {
		case "guard":
			return setString(&guard, key, value)
		case "guard_from":
			return setString(&guardFrom, key, value)
		}
		return syntaxErrorf("unknown key %s: rules take guard and guard_from", quoted(key))
	})
	if err != nil {
		return rotation.Rules{}, err
	}
	return parseHeaderRules(guard, guardFrom)
}

// textEntry reads an event line. The instant may be a duration after previous,
// which is the zero time where no line stands before.
func textEntry(words []string, previous time.Time) (e Entry, at time.Time, err error) {
	if after, relative := strings.CutPrefix(words[0], "+"); relative {
		if previous.IsZero() {
			return e, at, syntaxErrorf("%s has no line before it to count from", quoted(words[0]))
		}
		if after == "" || after[0] == '+' || after[0] == '-' {
			return e, at, syntaxErrorf("%s is not + and a duration", quoted(words[0]))
		}
		d, err := parseDuration("at", after)
		if err != nil {
			return e, at, err
		}
		at = previous.Add(d)
	} else if at, err = parseInstant("at", words[0]); err != nil {
		return e, at, err
	}

	var l line
	words = words[1:]
	if len(words) > 0 {
		if !utf8.ValidString(words[0]) {
			return e, at, syntaxErrorf("the card is not valid UTF-8")
		}
		l.card, words = words[0], words[1:]
	}
	if len(words) > 0 {
		l.event, words = words[0], words[1:]
	}
	given, expected := words, []string(nil)
	for i, w := range words {
		if w == "=>" {
			given, expected = words[:i], words[i+1:]
			break
		}
	}
	if err := eachPair(given, l.setGiven); err != nil {
		return e, at, err
	}
	if err := eachPair(expected, l.setExpected); err != nil {
		return e, at, err
	}
	e, err = l.entry(at)
	return e, at, err
}

func (l *line) setGiven(key, value string) error {
	switch key {
	case "service_code":
		return setString(&l.serviceCode, key, value)
	case "slot":
		return setString(&l.slot, key, value)
	case "interval":
		return setString(&l.interval, key, value)
	case "first":
		return setString(&l.first, key, value)
	}
	return syntaxErrorf("unknown key %s before =>", quoted(key))
}

func (l *line) setExpected(key, value string) error {
	switch key {
	case "rotate":
		return setBool(&l.rotate, key, value)
	case "reschedule":
		return setBool(&l.reschedule, key, value)
	case "reason":
		return setString(&l.reason, key, value)
	case "scenario":
		return setInt(&l.scenario, key, value)
	case "missed":
		return setInt(&l.missed, key, value)
	case "next":
		if l.noNext {
			return syntaxErrorf("%s stands twice", key)
		}
		if value == "null" && l.next == nil {
			l.noNext = true
			return nil
		}
		return setString(&l.next, key, value)
	}
	return syntaxErrorf("unknown key %s after =>", quoted(key))
}

func eachPair(words []string, set func(key, value string) error) error {
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || value == "" {
			return syntaxErrorf("a key=value pair is needed, not a word of %d characters without one", utf8.RuneCountInString(w))
		}
		if err := set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func setString(field **string, key, value string) error {
	if *field != nil {
		return syntaxErrorf("%s stands twice", key)
	}
	*field = &value
	return nil
}

func setBool(field **bool, key, value string) error {
	if *field != nil {
		return syntaxErrorf("%s stands twice", key)
	}
	if value != "true" && value != "false" {
		return syntaxErrorf("%s is neither true nor false", key)
	}
	v := value == "true"
	*field = &v
	return nil
}

func setInt(field **int64, key, value string) error {
	if *field != nil {
		return syntaxErrorf("%s stands twice", key)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return syntaxErrorf("%s is not a whole number", key)
	}
	*field = &n
	return nil
}

// appendText appends e as a line of the text spelling.
func appendText(b []byte, e Entry) ([]byte, error) {
	if e.Card == "" || e.Card[0] == '#' || !utf8.ValidString(e.Card) || strings.ContainsFunc(e.Card, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}) {
		return b, fmt.Errorf("a card id that is empty, begins with # or holds a space: %w", ErrSpelling)
	}
	var w []string
	if e.ServiceCode != (servicecode.Code{}) {
		w = append(w, "service_code="+e.ServiceCode.String())
	}
	if slot, ok := e.Event.Slot(); ok {
		w = append(w, "slot="+formatNext(slot))
	}
	if e.Event.Kind() == rotation.KindSetInterval {
		w = append(w, "interval="+FormatDuration(e.Event.Interval()))
	}
	if first, ok := e.Event.First(); ok {
		w = append(w, "first="+formatNext(first))
	}
	b = fmt.Appendf(b, "%-20s  %s  %-12s", e.Event.At().Format(time.RFC3339Nano), e.Card, e.Event.Kind())
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
	return strings.Join(w, " ")
}

// FormatDuration returns the duration as Go spells it, without trailing zero
// units: 24h, not 24h0m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
