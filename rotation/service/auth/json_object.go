package auth

import (
	"encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// object holds the members of a JSON object. A member that is null counts as absent:
// some issuers write every member.
type object struct {
	members map[string]json.RawMessage
	wrong   bool // a member that was read has the wrong type
}

// objectOf returns the members of an object. It refuses a name that occurs twice,
// at any depth: two programs could read two different values.
func objectOf(raw []byte) (o object, ok bool) {
	if !jsontext.Value(raw).IsValid() || json.Unmarshal(raw, &o.members) != nil || o.members == nil {
		return object{}, false
	}
	for name, value := range o.members {
		if string(value) == "null" {
			delete(o.members, name)
		}
	}
	return o, true
}

func (o *object) hasAny(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return o.members[name] != nil })
}

// text returns a member that is a string, or "" if it is absent.
func (o *object) text(name string) (s string) {
	if value, ok := o.members[name]; ok && json.Unmarshal(value, &s) != nil {
		o.wrong = true
	}
	return s
}

// texts returns a member that is an array of strings, or nil if it is absent.
func (o *object) texts(name string) (list []string) {
	value, ok := o.members[name]
	if !ok {
		return nil
	}
	var all []*string // a nil pointer is null, not ""
	o.wrong = o.wrong || json.Unmarshal(value, &all) != nil || slices.Contains(all, nil)
	list = []string{}
	for _, s := range all {
		if s != nil {
			list = append(list, *s)
		}
	}
	return list
}

// isText reports whether a member is a string.
func (o *object) isText(name string) bool { return jsontext.Value(o.members[name]).Kind() == '"' }

// digits returns the text of a member that is a non-negative integer, written in
// decimal digits alone, or "" for any other.
func (o *object) digits(name string) string {
	text := string(o.members[name])
	for i, c := range text {
		if c < '0' || c > '9' || i == 1 && text[0] == '0' {
			return ""
		}
	}
	return text
}
