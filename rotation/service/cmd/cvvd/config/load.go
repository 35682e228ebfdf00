package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"cvvrotation/rotation/service/internal/filemode"
)

// FieldError reports a setting with an invalid value.
type FieldError struct {
	Field  string // such as listen.pci
	Detail string // what is wrong; contains no secret
}

// Error returns the field and the detail.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// maxFile is the maximum size of a configuration file and of a secret's file.
const maxFile = 1 << 20

// Load returns the defaults, overridden by the file, overridden by the environment (in
// the form of os.Environ). An empty name means no file. A file that all users of the
// machine may change is an error. The error names the file and line, or the variable.
// Load does not check values: see [Config.Check].
func Load(name string, environ []string) (Config, error) {
	var text []byte
	if name != "" {
		var err error
		if text, err = readFile(name); err != nil {
			return Config{}, err
		}
		if err := filemode.Trusted(name); err != nil {
			return Config{}, err
		}
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s%w", name, err)
	}
	return c, c.Override(environ)
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return os.ReadFile(name)
}

// Parse returns the defaults, overridden by the text of a file. Errors begin with the
// line, as in ":7: …", or with ": ".
func Parse(text []byte) (Config, error) {
	c := Default()
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	err := decoder.Decode(&c)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		wrong = &unknown.Errors[0]
		line, _ := wrong.Position()
		return Config{}, fmt.Errorf(":%d: unknown setting %s", line, strings.Join(wrong.Key(), "."))
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return Config{}, fmt.Errorf(":%d: %w", line, c.explain(wrong))
	case err != nil:
		return Config{}, fmt.Errorf(": %w", err)
	}
	return c, c.each(func(f field) error {
		if d, ok := f.value.Interface().(Duration); ok && d.wrong {
			return fmt.Errorf(": %w", &FieldError{f.path(), errDuration.Error()})
		}
		if f.secret && f.value.Interface().(Secret).IsSet() {
			return fmt.Errorf(": %w", &FieldError{f.path(), fmt.Sprintf("is a secret and must not be in this file: use %s_file or the variable %s", f.name, f.env())})
		}
		if s, ok := f.value.Interface().(Secret); ok && hasPassword(s.Reveal()) {
			return fmt.Errorf(": %w", &FieldError{f.path(), fmt.Sprintf("contains a password, which must not be in this file: use %s_file or the variable %s", f.name, f.env())})
		}
		return nil
	})
}

// wrongType matches the library's error of a value whose type is not the setting's. It
// names the type of Go.
var wrongType = regexp.MustCompile(`^toml: cannot (?:decode TOML|store an?) (.+?) (?:into|in a) `)

// explain returns the library's error, of a type in the words of the file.
func (c *Config) explain(wrong *toml.DecodeError) error {
	found := wrongType.FindStringSubmatch(wrong.Error())
	if found == nil {
		return errors.New(strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	name := strings.Join(wrong.Key(), ".")
	err := &FieldError{name, fmt.Sprintf("must be a section, [%s], not of type %s", name, found[1])}
	c.each(func(f field) error {
		if f.path() == name || f.value.Kind() == reflect.Map && strings.HasPrefix(name, f.path()+".") {
			err.Detail = fmt.Sprintf("%v, not of type %s", f.needs(), found[1])
		}
		return nil
	})
	return err
}

// hasPassword reports whether a URL, or one of several separated by commas, may
// contain a password or token. A URL that does not parse may.
func hasPassword(text string) bool {
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		u, err := url.Parse(one)
		if err != nil || u.Scheme == "" {
			return true
		}
		_, set := u.User.Password()
		q := u.Query()
		if set || q.Has("password") || q.Has("sslpassword") || q.Has("token") {
			return true
		}
	}
	return false
}

// Override applies the environment variables named CVVD_SECTION_NAME. It ignores
// CVVD_CONFIG, which names the file. It returns an error for any other variable that
// begins with CVVD_, because that is most likely misspelt.
func (c *Config) Override(environ []string) error {
	known := map[string]field{}
	c.each(func(f field) error {
		known[f.env()] = f
		return nil
	})
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "CVVD_") || name == "CVVD_CONFIG" {
			continue
		}
		f, ok := known[name]
		if !ok {
			return fmt.Errorf("environment variable %s: unknown setting%s", name, nearest(name, known))
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("environment variable %s: %w", name, err)
		}
	}
	return nil
}

// nearest lists the variables of the same section.
func nearest(name string, known map[string]field) string {
	section, _, _ := strings.Cut(strings.TrimPrefix(name, "CVVD_"), "_")
	var same []string
	for k := range known {
		if strings.HasPrefix(k, "CVVD_"+section+"_") {
			same = append(same, k)
		}
	}
	if same == nil {
		return ""
	}
	slices.Sort(same)
	return "; known are " + strings.Join(same, ", ")
}
