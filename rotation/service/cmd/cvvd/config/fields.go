package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one setting of a [Config].
type field struct {
	section, name string // as in the file
	doc           string
	secret        bool // must not be in the file
	value         reflect.Value
}

// path returns the name of the field in messages.
func (f field) path() string { return f.section + "." + f.name }

// env returns the environment variable that overrides the field.
func (f field) env() string { return "CVVD_" + strings.ToUpper(f.section+"_"+f.name) }

// section is one table of the file.
type section struct {
	name, doc string
	fields    []field
}

// sections returns all settings of c, in order, addressable.
func (c *Config) sections() []section {
	var all []section
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		part := v.Type().Field(i)
		s := section{name: part.Tag.Get("toml"), doc: part.Tag.Get("doc")}
		for j := range part.Type.NumField() {
			f := part.Type.Field(j)
			s.fields = append(s.fields, field{
				section: s.name, name: f.Tag.Get("toml"), doc: f.Tag.Get("doc"),
				secret: f.Tag.Get("secret") != "", value: v.Field(i).Field(j),
			})
		}
		all = append(all, s)
	}
	return all
}

// each calls fn with each setting until fn returns an error.
func (c *Config) each(fn func(field) error) error {
	for _, s := range c.sections() {
		for _, f := range s.fields {
			if err := fn(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// needs returns the error of a value whose type is not the field's.
func (f field) needs() error {
	switch f.value.Interface().(type) {
	case Duration:
		return errDuration
	case int:
		return errors.New("must be a whole number")
	case float64:
		return errors.New("must be a number")
	case bool:
		return errors.New("must be true or false")
	case []string:
		return errors.New(`must be a list of strings, such as ["one", "two"]`)
	case map[string][]string:
		return errors.New(`must be lists of strings by name, such as { acme = ["one", "two"] }`)
	}
	return errors.New("must be a string in quotes")
}

// set sets the field from the text of an environment variable. Lists are separated
// by commas, and lists by name are a list of name=value. The error does not quote the
// text.
func (f field) set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *Secret:
		*p = NewSecret(text)
	case *Duration:
		return p.set(text)
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return f.needs()
		}
		*p = n
	case *float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return f.needs()
		}
		*p = x
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return f.needs()
		}
		*p = b
	case *[]string:
		*p = nil
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word != "" {
				*p = append(*p, word)
			}
		}
	case *map[string][]string:
		lists := map[string][]string{}
		for pair := range strings.SplitSeq(text, ",") {
			name, word, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok && name != "" {
				return errors.New("must be a list of name=value, separated by commas")
			}
			if ok {
				lists[name] = append(lists[name], word)
			}
		}
		*p = lists
	}
	return nil
}

// toml returns the field's value in TOML, and [redacted] for a secret.
func (f field) toml() string {
	switch v := f.value.Interface().(type) {
	case string:
		return quote(v)
	case Duration:
		return quote(v.String())
	case Secret:
		if v.IsSet() {
			return `"[redacted]"`
		}
		return `""`
	case []string:
		return list(v)
	case map[string][]string:
		lists := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lists = append(lists, quote(name)+" = "+list(v[name]))
		}
		return "{" + strings.Join(lists, ", ") + "}"
	case float64:
		s := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprint(f.value.Interface())
}

// list returns the words as a TOML array.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote returns s as a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Write writes the effective configuration as a file that [Load] accepts. Secrets are
// [redacted] and commented out.
func (c *Config) Write(w io.Writer) error {
	var b strings.Builder
	for i, s := range c.sections() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n", s.name)
		for _, f := range s.fields {
			comment := ""
			if f.secret || f.value.Type() == reflect.TypeFor[Secret]() {
				comment = "# "
			}
			fmt.Fprintf(&b, "%s%s = %s\n", comment, f.name, f.toml())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteExample writes a file to start from: each setting with its documentation and
// its default, commented out.
func WriteExample(w io.Writer) error {
	c := Default()
	var b strings.Builder
	b.WriteString(`# Configuration of cvvd. Commented-out settings show the default.
#
# Environment variables named CVVD_SECTION_NAME override this file: listen.pci is
# CVVD_LISTEN_PCI; lists are separated by commas. Settings marked "environment
# only" are secrets and must not be in this file; the setting after each names a
# file that contains it. Durations are written 90s, 2m, 24h.
#
# "cvvd config check --config FILE" checks a file and prints the effective settings.
`)
	for _, s := range c.sections() {
		b.WriteByte('\n')
		comment(&b, s.doc)
		fmt.Fprintf(&b, "[%s]\n", s.name)
		for _, f := range s.fields {
			b.WriteByte('\n')
			comment(&b, f.doc)
			if f.secret {
				fmt.Fprintf(&b, "# environment only: %s\n", f.env())
				continue
			}
			fmt.Fprintf(&b, "# %s = %s\n", f.name, f.toml())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// comment writes text as comment lines, wrapped at 78 columns.
func comment(b *strings.Builder, text string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := "#"
		for word := range strings.SplitSeq(paragraph, " ") {
			if len([]rune(line))+1+len([]rune(word)) > 78 {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
}
