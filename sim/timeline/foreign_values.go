package timeline

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation"
)

// setForeign sets a part of the line from another system's spelling of its value.
func (l *line) setForeign(key string, text []byte) (err error) {
	s := string(text)
	switch key {
	case keyAt, keySlot, keyFirst, keyNext:
		s, err = spellInstant(key, s)
	case keyInterval:
		s, err = spellInterval(s)
	case keyIntervalHours:
		hours, err := strconv.ParseFloat(s, 64)
		if err != nil || hours != float64(int64(hours)) || hours < 0 || hours > rotation.MaxInterval.Hours() {
			return syntaxErrorf("%s is not a number of whole hours, such as 24; map interval if it has a unit", key)
		}
		l.interval, l.hasInterval = time.Duration(hours)*time.Hour, true
		return nil
	case keyRotate, keyReschedule:
		value, err := strconv.ParseBool(s)
		if err != nil {
			return syntaxErrorf("%s is neither true nor false", key)
		}
		return l.setBool(key, value)
	case keyScenario, keyMissed:
		value, err := strconv.ParseInt(strings.TrimSuffix(s, ".0"), 10, 64)
		if err != nil {
			return syntaxErrorf("%s is not a whole number", key)
		}
		return l.setInt(key, value)
	}
	if err != nil {
		return err
	}
	return l.setText(key, []byte(s))
}

var (
	instantForms = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d+))? ?(Z|z|UTC|GMT|([+-]\d\d)(?::?(\d\d))?(?: [A-Z]{3,5})?)?$`)
	epochForms   = regexp.MustCompile(`^-?\d+(\.\d+)?([eE]\+?\d\d?)?$`)
	iso8601Forms = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(\d+H)?(\d+M)?(\d+(?:\.\d+)?S)?)?$`)
)

// spellInstant returns the instant as our timelines spell it.
func spellInstant(key, s string) (string, error) {
	if _, err := parseInstant(key, []byte(s)); err == nil {
		return s, nil
	}
	if epochForms.MatchString(s) {
		t, err := parseEpoch(key, s)
		return t.UTC().Format(time.RFC3339Nano), err
	}
	m := instantForms.FindStringSubmatch(s)
	if m == nil {
		return "", syntaxErrorf("%s %s is not an instant such as 2026-11-22T15:00:00Z, nor one since 1970", key, quoted([]byte(s)))
	}
	date, clock, fraction, zone := m[1], m[2], strings.TrimRight(m[3], "0"), "Z"
	switch {
	case m[4] == "":
		return "", syntaxErrorf("%s %s has no time zone: Z or an offset such as +02:00 is needed", key, quoted([]byte(s)))
	case m[5] != "":
		zone = m[5] + ":" + fmt.Sprintf("%02s", m[6])
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return date + "T" + clock + fraction + zone, nil
}

// Units of a time since 1970. The ranges from 1973 to 2200 that they give do not
// overlap, so that a number is of one unit, or of none.
var epochUnits = []struct {
	perSecond int64
	digits    int // of a nanosecond in one
}{{1, 9}, {1e3, 6}, {1e6, 3}, {1e9, 0}}

// parseEpoch reads a time since 1970 in seconds, milliseconds, microseconds or
// nanoseconds.
func parseEpoch(key, s string) (time.Time, error) {
	digits := len(s)
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		f, _ := strconv.ParseFloat(s, 64)
		digits = e - strings.Count(s, ".")
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if digits < len(whole)-3 { // 1.78554E+09, but not 1.78554249E9
		return time.Time{}, syntaxErrorf("%s is a number of %d digits with an exponent: a spreadsheet may have rounded it", key, digits)
	}
	fraction = strings.TrimRight(fraction, "0")
	n, _ := strconv.ParseInt(whole, 10, 64) // what overflows is of no unit
	const from, to = 100_000_000, 7_289_654_400
	for _, unit := range epochUnits {
		if n < from*unit.perSecond || n/unit.perSecond >= to {
			continue
		}
		if len(fraction) > unit.digits {
			return time.Time{}, syntaxErrorf("%s is finer than a nanosecond", key)
		}
		rest, _ := strconv.ParseInt(fraction+strings.Repeat("0", unit.digits-len(fraction)), 10, 64)
		return time.Unix(n/unit.perSecond, n%unit.perSecond*(1e9/unit.perSecond)+rest), nil
	}
	return time.Time{}, syntaxErrorf("%s is a number that is no time from 1973 to 2200 in s, ms, µs or ns since 1970", key)
}

// spellInterval returns the interval as our timelines spell it.
func spellInterval(s string) (string, error) {
	m := iso8601Forms.FindStringSubmatch(strings.ToUpper(s))
	if m == nil || m[1]+m[2]+m[3]+m[4] == "" {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return "", syntaxErrorf("interval is a number without a unit: map interval_hours instead if it is hours")
		}
		return s, nil
	}
	days, err := strconv.Atoi("0" + m[1])
	if err != nil || days > int(rotation.MaxInterval/(24*time.Hour)) {
		return "", syntaxErrorf("interval is longer than ten years")
	}
	return strconv.Itoa(24*days) + "h" + strings.ToLower(m[2]+m[3]+m[4]), nil
}
