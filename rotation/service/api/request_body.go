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

	"cvvrotation/rotation/service/audit"
)

// MaxBody is the maximum length of a request's body in bytes.
const MaxBody = 4 << 10

// member is a member of a body. Values are decoded directly into their destination,
// so that no secret becomes a plain string. No member accepts null.
type member struct {
	name     string
	required bool
	want     string                    // what is accepted
	set      func(jsontext.Value) bool // reports whether the value is accepted
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

// readBody reads a JSON object with the members. An empty body is an object without
// members.
func readBody(w http.ResponseWriter, r *http.Request, members ...member) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	defer clear(body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{name: audit.OutcomeBodyTooLarge, detail: fmt.Sprintf("the maximum is %d bytes", MaxBody)}
	}
	if err != nil {
		return &problem{name: audit.OutcomeInvalidRequest, detail: "the body is incomplete, or took too long"}
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
		return &problem{name: audit.OutcomeUnsupportedType, detail: "send Content-Type: application/json, without Content-Encoding"}
	}
	return nil
}

// decodeBody decodes an object. Names are case-sensitive and must be unique, while
// encoding/json would ignore their case and use the last of two values.
func decodeBody(body []byte, members []member) error {
	var wrong []fieldError
	seen := make(map[string]bool, len(members))
	if len(body) > 0 {
		dec := jsontext.NewDecoder(bytes.NewReader(body))
		if dec.PeekKind() != '{' {
			return &problem{name: audit.OutcomeInvalidRequest, detail: "the body must be one JSON object"}
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
			return &problem{name: audit.OutcomeInvalidRequest, detail: "the body must be one JSON object, with nothing after it"}
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

// set sets the member with the name. It returns what is wrong with it, or "".
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
		return "is unknown: this operation accepts no members"
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	return "is unknown: it must be one of " + strings.Join(names, ", ")
}

// syntaxProblem reports where JSON is malformed. The library's own message may quote
// a value, which may be a secret.
func syntaxProblem(err error) *problem {
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case ok && errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(bodyError(quotable(e.JSONPointer.LastToken()), "occurs twice"))
	case ok:
		return &problem{name: audit.OutcomeInvalidRequest, detail: fmt.Sprintf("the body is not valid JSON (RFC 8259), after byte %d", e.ByteOffset)}
	}
	return &problem{name: audit.OutcomeInvalidRequest, detail: "the body is not valid JSON (RFC 8259): it is incomplete"}
}

// unnamed replaces a name that must not be quoted.
const unnamed = "(a member)"

// quotable returns the name of a member or parameter if it is safe to quote: it
// cannot be a secret, and is short.
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
