package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
	"cvvrotation/rotation/internal/cardid"
)

// ErrEvent is returned by Parse for input that is not a "Card CVV changed" event
// of this version. The message names the member, never a value.
var ErrEvent = errors.New(`not a "Card CVV changed" event`)

// Parse reads an event. It accepts what [Changed.AppendJSON] writes, with its
// members in any order and with white space. It skips members that it does not
// know, in the envelope and in data, whose names are in lower case: extension
// attributes that brokers add, and members of a newer form of v1. It returns an
// error that matches ErrEvent for anything else: a member that is missing or
// repeated, a known name in other letters, values that contradict each other.
func Parse(b []byte) (Changed, error) { return parse(b, false) }

// ParseStrict is like Parse, and refuses members that it does not know. It is for
// tests of programs that write events.
func ParseStrict(b []byte) (Changed, error) { return parse(b, true) }

func parse(b []byte, strict bool) (Changed, error) {
	p := parser{
		dec: jsontext.NewDecoder(bytes.NewReader(b)), strict: strict,
		attributes: make(map[string]bool, 12), data: make(map[string]bool, 16),
	}
	p.object(p.attribute)
	if p.err == nil {
		if _, err := p.dec.ReadToken(); err != io.EOF {
			p.fail("there is more after the event")
		}
	}
	if p.err == nil {
		p.check()
	}
	if p.err != nil {
		return Changed{}, p.err
	}
	return p.Changed, nil
}

// parser keeps the first error and does nothing more after it.
type parser struct {
	Changed
	dec    *jsontext.Decoder
	err    error
	strict bool

	attributes map[string]bool // the known members of the envelope that are there
	data       map[string]bool // and those of data
	id         string
	kind       string // cvv_rotation_type; empty: not there
}

// What an event must have.
var (
	requiredAttributes = []string{"specversion", "id", "source", "type", "subject", "partitionkey", "time", "datacontenttype", "data"}
	requiredData       = []string{
		"card_id", "account_id", "event_number", "operation_type", "cvv_version", "cvv_next_rotation_date",
		"cvv_rotation_interval_hours", "rescheduled", "reason", "scenario",
	}
)

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("event: %w: %s", ErrEvent, fmt.Sprintf(format, args...))
	}
}

// object reads an object and calls member with each name, which reads the value.
func (p *parser) object(member func(name string)) {
	if p.dec.PeekKind() != '{' {
		p.fail("a JSON object is needed at byte %d", p.dec.InputOffset())
		return
	}
	p.token()
	for p.err == nil && p.dec.PeekKind() != '}' {
		name := p.token()
		if p.err == nil {
			member(name.String())
		}
	}
	p.token()
}

func (p *parser) token() jsontext.Token {
	if p.err != nil {
		return jsontext.Token{}
	}
	t, err := p.dec.ReadToken()
	p.broken(err)
	return t
}

// broken fails if err is an error of the decoder, whose text could quote a value.
func (p *parser) broken(err error) {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		p.fail("a member is repeated, after byte %d", p.dec.InputOffset())
	case err != nil:
		p.fail("broken JSON after byte %d", p.dec.InputOffset())
	}
}

// attribute reads a member of the envelope.
func (p *parser) attribute(name string) {
	switch name {
	case "specversion":
		p.constant(name, "1.0")
	case "type":
		p.constant(name, Type)
	case "datacontenttype":
		p.constant(name, "application/json")
	case "id":
		p.id = p.text(name)
	case "source":
		p.Source = p.text(name)
		if _, err := url.Parse(p.Source); err != nil || p.Source == "" || strings.Contains(p.Source, `\`) {
			p.fail("source must be a URI reference")
		}
	case "subject", "partitionkey":
		p.card(name)
	case "time":
		p.At = p.instant(name)
	case "data":
		p.object(p.datum)
	default:
		p.unknown("the envelope", name, lowerCase) // as CloudEvents requires
		return
	}
	p.attributes[name] = true
}

// unknown skips a member that this version does not know. letters are those that
// names can consist of.
func (p *parser) unknown(object, name, letters string) {
	switch {
	case p.strict:
		p.fail("unknown member in %s, before byte %d", object, p.dec.InputOffset())
	case name == "" || strings.Trim(name, letters) != "":
		p.fail("a name in %s is not in lower case, before byte %d", object, p.dec.InputOffset())
	default:
		p.broken(p.dec.SkipValue())
	}
}

const lowerCase = "abcdefghijklmnopqrstuvwxyz0123456789"

// datum reads a member of data.
func (p *parser) datum(name string) {
	switch name {
	case "card_id":
		p.card(name)
	case "account_id":
		if p.Account = p.text(name); p.Account != "" && cardid.CheckName(p.Account) != nil {
			p.fail("account_id is not the name of an account")
		}
	case "event_number":
		p.Number = p.count(name, 1)
	case "operation_type":
		p.Operation = Operation(p.text(name))
	case "cvv_rotation_type":
		p.kind = p.text(name)
	case "cvv_version":
		p.Version = p.count(name, 1)
	case "cvv_next_rotation_date":
		if p.dec.PeekKind() == 'n' {
			p.token()
		} else {
			p.Next = p.instant(name)
		}
	case "cvv_rotation_interval_hours":
		p.Interval = p.hours(name)
	case "rescheduled":
		p.Rescheduled = p.bool(name)
	case "reason":
		if err := p.Reason.UnmarshalText([]byte(p.text(name))); err != nil {
			p.fail("reason is an unknown word")
		}
	case "scenario":
		p.Scenario = int(p.count(name, 0))
	case "missed":
		p.Missed = p.count(name, 0)
	case "slot":
		p.Slot = p.instant(name)
	case "compromised":
		p.Compromised = p.bool(name)
	case "repaired":
		p.Repaired = p.bool(name)
	case "rules":
		p.rules()
	default:
		p.unknown("data", name, lowerCase+"_")
		return
	}
	p.data[name] = true
}

func (p *parser) text(name string) string {
	t := p.token()
	if p.err == nil && t.Kind() != '"' {
		p.fail("%s must be a string", name)
	}
	if p.err != nil {
		return ""
	}
	return t.String()
}

func (p *parser) constant(name, want string) {
	if p.text(name) != want {
		p.fail("%s must be %s", name, want)
	}
}

// card reads the card's id, which occurs three times in an event.
func (p *parser) card(name string) {
	switch id := p.text(name); {
	case p.Card == "" && cardid.Check(id) == nil:
		p.Card = id
	case p.Card != id || id == "":
		p.fail("%s is not the id of the event's card", name)
	}
}

func (p *parser) instant(name string) time.Time {
	text := p.text(name)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.IsZero() || t.UTC().Format(time.RFC3339Nano) != text {
		p.fail("%s must be an instant in UTC, such as 2026-11-22T15:00:00Z", name)
	}
	return t.UTC()
}

func (p *parser) count(name string, least int64) int64 {
	t := p.token()
	if p.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(t.String(), 10, 64)
	if t.Kind() != '0' || err != nil || n < least {
		p.fail("%s must be an integer from %d", name, least)
	}
	return n
}

func (p *parser) bool(name string) bool {
	t := p.token()
	if k := t.Kind(); p.err == nil && k != 't' && k != 'f' {
		p.fail("%s must be true or false", name)
	}
	return p.err == nil && t.Bool()
}

func (p *parser) hours(name string) time.Duration {
	t := p.token()
	if p.err != nil || t.Kind() == 'n' {
		return 0
	}
	hours, err := strconv.ParseFloat(t.String(), 64)
	interval := time.Duration(math.Round(min(max(hours, 0), 1e6)*3600e6)) * time.Microsecond
	if t.Kind() != '0' || err != nil || interval <= 0 || hours > rotation.MaxInterval.Hours() {
		p.fail("%s must be a number of hours up to ten years, or null", name)
	}
	return interval
}

// rules reads the rules in the spelling of a timeline's header.
func (p *parser) rules() {
	var guard, from string
	p.object(func(name string) {
		switch name {
		case "guard":
			guard = p.text(name)
		case "guard_from":
			from = p.text(name)
		default:
			p.unknown("rules", name, lowerCase+"_")
		}
	})
	if p.Rules.UnmarshalText([]byte("guard="+guard+" guard_from="+from)) != nil {
		p.fail("rules must be a guard such as 5m, and guard_from, which is request or scheduling")
	}
}

// check finds what is missing and what contradicts itself.
func (p *parser) check() {
	for _, name := range requiredAttributes {
		if !p.attributes[name] {
			p.fail("%s is missing", name)
		}
	}
	for _, name := range requiredData {
		if !p.data[name] {
			p.fail("%s is missing in data", name)
		}
	}
	if p.id != p.Card+"."+strconv.FormatInt(p.Number, 10) {
		p.fail("id is not that of the card and event_number")
	}
	p.Automatic = p.kind == "AUTOMATIC"
	rotate, change := p.Operation == OperationRotate, p.Operation == OperationChangeInterval
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{rotate || change || p.Operation == OperationDeleteInterval, "operation_type is an unknown word"},
		{rotate == (p.kind != ""), "cvv_rotation_type belongs to ROTATE_CVV"},
		{p.kind == "" && !p.data["cvv_rotation_type"] || p.kind == "MANUAL" || p.Automatic, "cvv_rotation_type must be AUTOMATIC or MANUAL"},
		{p.Automatic == p.data["missed"], "missed belongs to AUTOMATIC"},
		{p.Automatic || !p.data["slot"], "slot belongs to AUTOMATIC"},
		{p.Compromised == p.data["compromised"] && (!p.Compromised || p.kind == "MANUAL"), "compromised is true and belongs to MANUAL"},
		{p.Repaired == p.data["repaired"] && (!p.Repaired || change), "repaired is true and belongs to CHANGE_CVV_ROTATION"},
		{p.Scenario <= 3 && (p.Scenario == 0 || p.Reason == rotation.ReasonGuard), "scenario is 1 to 3 with the reason guard, else 0"},
		{p.reasonFits(), "reason does not fit the operation"},
		{p.Rescheduled == (p.Reason == rotation.ReasonScheduled || p.Reason == rotation.ReasonIntervalSet), "rescheduled does not fit the reason"},
		{p.Next.IsZero() == (p.Interval == 0), "cvv_next_rotation_date and cvv_rotation_interval_hours are null together"},
		{(p.Interval == 0) == (p.Reason == rotation.ReasonRotationOff), "cvv_rotation_interval_hours does not fit the reason"},
	} {
		if !rule.ok {
			p.fail("%s", rule.what)
		}
	}
}

func (p *parser) reasonFits() bool {
	switch p.Reason {
	case rotation.ReasonScheduled, rotation.ReasonGuard:
		return p.Operation == OperationRotate
	case rotation.ReasonRotationOff:
		return p.Operation == OperationDeleteInterval || p.Operation == OperationRotate && !p.Automatic
	case rotation.ReasonIntervalSet:
		return p.Operation == OperationChangeInterval
	}
	return false
}
