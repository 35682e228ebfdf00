package api

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// member is a member of a body. Values go straight to where they are needed, so
// that a secret is nowhere a plain string; null is no value of any.
type member struct {
	name     string
	required bool
	want     string                    // what would do
	set      func(jsontext.Value) bool // reports whether the value does
}

func textMember(name, want string, to encoding.TextUnmarshaler) member {
	return member{name: name, want: want, set: func(v jsontext.Value) bool {
		if v.Kind() != '"' {
			return false
		}
		text, err := jsontext.AppendUnquote(make([]byte, 0, 64), v)
		if err == nil {
			err = to.UnmarshalText(text)
		}
		clear(text)
		return err == nil
	}}
}

func boolMember(name string, to *bool) member {
	return member{name: name, want: "must be true or false", set: func(v jsontext.Value) bool {
		*to = v.Kind() == 't'
		return *to || v.Kind() == 'f'
	}}
}

func intMember(name, want string, lowest, highest int64, to *int64) member {
	return member{name: name, want: want, set: func(v jsontext.Value) bool {
		n, err := strconv.ParseInt(string(v), 10, 64)
		*to = n
		return v.Kind() == '0' && err == nil && lowest <= n && n <= highest
	}}
}

func instantMember(name string, to *time.Time) member {
	return textMember(name, "must be an instant (RFC 3339), such as 2026-11-22T15:00:00Z", to)
}

func (m member) needed() member {
	m.required = true
	return m
}

// readBody reads a JSON object with some of the members. An empty body is one
// with none.
func readBody(w http.ResponseWriter, r *http.Request, members ...member) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	defer clear(body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{kind: kindTooLarge, detail: fmt.Sprintf("it must have at most %d bytes", MaxBody)}
	}
	if err != nil {
		return &problem{kind: kindInvalid, detail: "the body ended early, or took too long"}
	}
	if len(body) > 0 {
		if err := checkContentType(r.Header); err != nil {
			return err
		}
	}
	return decodeBody(body, members)
}

func checkContentType(h http.Header) error {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, ok := params["charset"]
	if err != nil || mediaType != "application/json" || ok && !strings.EqualFold(charset, "utf-8") ||
		len(h.Values("Content-Type")) > 1 || h.Get("Content-Encoding") != "" {
		return &problem{kind: kindContentType, detail: "send Content-Type: application/json, not compressed"}
	}
	return nil
}

// decodeBody decodes an object. Names are matched to the letter and may stand
// once: encoding/json would fold their case and let the last of two win.
func decodeBody(body []byte, members []member) error {
	var wrong []fieldError
	seen := make(map[string]bool, len(members))
	if len(body) > 0 {
		dec := jsontext.NewDecoder(bytes.NewReader(body))
		if dec.PeekKind() != '{' {
			return &problem{kind: kindInvalid, detail: "the body must be one JSON object"}
		}
		if _, err := dec.ReadToken(); err != nil {
			return syntaxProblem(err)
		}
		for dec.PeekKind() == '"' {
			name, err := dec.ReadToken()
			if err != nil {
				return syntaxProblem(err)
			}
			field := name.String()
			value, err := dec.ReadValue()
			if err != nil {
				return syntaxProblem(err)
			}
			seen[field] = true
			if detail := set(members, field, value); detail != "" {
				wrong = append(wrong, bodyError(quotable(field), detail))
			}
		}
		if _, err := dec.ReadToken(); err != nil {
			return syntaxProblem(err)
		}
		if _, err := dec.ReadToken(); err != io.EOF {
			return &problem{kind: kindInvalid, detail: "the body must be one JSON object, and nothing after it"}
		}
	}
	for _, m := range members {
		if m.required && !seen[m.name] {
			wrong = append(wrong, bodyError(m.name, "is required: "+m.want))
		}
	}
	if len(wrong) > 0 {
		return invalid(wrong...)
	}
	return nil
}

// set sets the member with the name and returns what is wrong with it.
func set(members []member, name string, value jsontext.Value) string {
	for _, m := range members {
		switch {
		case m.name != name:
		case !m.set(value):
			return m.want
		default:
			return ""
		}
	}
	if len(members) == 0 {
		return "is unknown: nothing is taken here"
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	return "is unknown: it must be one of " + strings.Join(names, ", ")
}

// syntaxProblem says where JSON is broken. The library's own message may quote
// a value, which may be a secret.
func syntaxProblem(err error) *problem {
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case ok && errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(bodyError(quotable(e.JSONPointer.LastToken()), "stands twice"))
	case ok:
		return &problem{kind: kindInvalid, detail: fmt.Sprintf("the body is not valid JSON (RFC 8259), after byte %d", e.ByteOffset)}
	}
	return &problem{kind: kindInvalid, detail: "the body is not valid JSON (RFC 8259): it ends early"}
}

// unnamed stands for a name that is not repeated to the caller.
const unnamed = "(a member)"

// quotable returns a member's name if it can't be a secret or a nuisance.
func quotable(name string) string {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return unnamed
		}
	}
	if len(name) == 0 || len(name) > 40 {
		return unnamed
	}
	return name
}
