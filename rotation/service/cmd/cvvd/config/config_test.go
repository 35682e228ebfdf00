package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/sim/must"
)

var update = flag.Bool("update", false, "rewrite cvvd.example.toml; review the difference")

const example = "../cvvd.example.toml"

// The example's commented-out settings are the defaults.
func TestWriteExample_MatchesExampleFileAndDefaults(t *testing.T) {
	var b bytes.Buffer
	must.Do(t, WriteExample(&b))
	if *update {
		must.Do(t, os.WriteFile(example, b.Bytes(), 0o644))
	}
	text := must.Get(os.ReadFile(example))(t)
	if d := cmp.Diff(string(text), b.String()); d != "" {
		t.Errorf("run go test ./rotation/service/cmd/cvvd/config -update:\n%s", d)
	}
	c := must.Get(Parse(regexp.MustCompile(`(?m)^# (\w+ = )`).ReplaceAll(text, []byte("$1"))))(t)
	must.Equal(t, written(t, Default()), written(t, c))
	for line := range strings.SplitSeq(string(text), "\n") {
		if len([]rune(line)) > 120 {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
}

func TestConfig_EveryFieldHasDocumentationAndUniqueName(t *testing.T) {
	c := Default()
	seen := map[string]bool{}
	c.each(func(f field) error {
		if f.doc == "" || f.name == "" || seen[f.env()] {
			t.Errorf("%s has no documentation, no name or another's", f.path())
		}
		seen[f.env()] = true
		if f.secret != (f.value.Type() == reflect.TypeFor[Secret]()) && !strings.HasSuffix(f.name, "url") {
			t.Errorf("%s is secret: %v", f.path(), f.secret)
		}
		return nil
	})
	if len(seen) < 50 {
		t.Errorf("only %d settings", len(seen))
	}
}

func written(t *testing.T, c Config) string {
	t.Helper()
	var b strings.Builder
	must.Do(t, c.Write(&b))
	return b.String()
}

// It also loads what Write has written.
func TestOverride_SetsEveryField(t *testing.T) {
	c := Default()
	var environ []string
	c.each(func(f field) error {
		value := "other\"\\ \t\u007f value"
		switch f.value.Interface().(type) {
		case Duration:
			value = "17m"
		case int, float64:
			value = "17"
		case bool:
			value = "true"
		case []string:
			value = "one, two"
		case map[string][]string:
			value = "one=1, two=2,one=3"
		}
		environ = append(environ, f.env()+"="+value)
		return nil
	})
	before := written(t, c)
	must.Do(t, c.Override(append(environ, "HOME=/", "CVVD_CONFIG=x")))
	after := written(t, c)
	for i, line := range strings.Split(after, "\n") {
		if strings.Contains(line, " = ") && line == strings.Split(before, "\n")[i] {
			t.Errorf("not overridden: %s", line)
		}
	}
	again := must.Get(Parse([]byte(after)))(t)
	again.Store.URL, again.Keys.Sealing, again.CVV.CVK = c.Store.URL, c.Keys.Sealing, c.CVV.CVK
	again.Events.WebhookURL, again.Events.WebhookSecret, again.Events.NATSURL = c.Events.WebhookURL, c.Events.WebhookSecret, c.Events.NATSURL
	must.Equal(t, after, written(t, again))
}

func TestLoad_ErrorNamesPlaceAndProblemWithoutSecret(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ text, variable, want string }{
		{"[store]\nkind = \"sqlite\"\npaht = \"x\"\n", "", `c.toml:3: unknown setting store.paht`},
		{"[sotre]\n", "", `c.toml:1: unknown setting sotre`},
		{"[store]\n[store]\n", "", `c.toml:2: `},
		{"\n[engine]\nbatch = \"many\"\n", "", `c.toml:3: engine.batch: must be a whole number, not of type string`},
		{"[engine]\nbatch = { a = 1 }\n", "", `c.toml:2: engine.batch: must be a whole number, not of type inline table`},
		{"[engine.batch]\n", "", `c.toml:1: engine.batch: must be a whole number, not of type table`},
		{"[[engine]]\n", "", `c.toml:1: engine: must be a section, [engine], not of type array table`},
		{"engine = 5\n", "", `c.toml:1: engine: must be a section, [engine], not of type integer`},
		{"[engine]\npoll = [1]\n", "", `c.toml:2: engine.poll: must be a duration, such as 90s, 2m or 24h, not of type array`},
		{"[store]\nkind = 5\n", "", `c.toml:2: store.kind: must be a string in quotes, not of type integer`},
		{"[listen]\nplaintext = 1\n", "", `c.toml:2: listen.plaintext: must be true or false, not of type integer`},
		{"[auth]\nalgorithms = [1]\n", "", `c.toml:2: auth.algorithms: must be a list of strings, such as ["one", "two"], not of type integer`},
		{"[cvv]\nprefixes = [\"SECRET\"]\n", "", `c.toml:2: cvv.prefixes: must be lists of strings by name, such as { acme = ["one", "two"] }, not of type array`},
		{"[cvv.prefixes]\nacme = \"SECRET\"\n", "", `c.toml:2: cvv.prefixes.acme: must be lists of strings by name`},
		{"[cvv.prefixes]\nacme = [51]\n", "", `c.toml:2: cvv.prefixes.acme: must be lists of strings by name`},
		{"", "CVVD_CVV_PREFIXES=acme=51, SECRET", `CVVD_CVV_PREFIXES: must be a list of name=value, separated by commas`},
		{"[limits]\ncard_per_second = \"x\"\n", "", `c.toml:2: limits.card_per_second: must be a number, not of type string`},
		{"\n\n[engine]\npoll = 5\n", "", `c.toml: engine.poll: must be a duration, such as 90s`},
		{"[engine]\npoll = \"soon\"\n", "", `engine.poll: must be a duration, such as 90s`},
		{"[engine\n", "", `c.toml:1: `},
		{"[keys]\nsealing = \"1:SECRET\"\n", "", `keys.sealing: is a secret and must not be in this file: use sealing_file or the variable CVVD_KEYS_SEALING`},
		{"[store]\nurl = \"postgres://u:SECRET@h/d\"\n", "", `store.url: contains a password`},
		{"[store]\nurl = \"postgres://h/d?password=SECRET\"\n", "", `store.url: contains a password`},
		{"[store]\nurl = \"postgres://u:SECRET@h:bad port/%zz\"\n", "", `store.url: contains a password`},
		{"", "CVVD_STOER_PATH=SECRET", `environment variable CVVD_STOER_PATH: unknown setting`},
		{"", "CVVD_STORE_PAHT=SECRET", `unknown setting; known are CVVD_STORE_BACKGROUND, CVVD_STORE_CONNECTIONS, CVVD_STORE_KIND, CVVD_STORE_PATH`},
		{"", "CVVD_ENGINE_BATCH=SECRET", `CVVD_ENGINE_BATCH: must be a whole number`},
		{"", "CVVD_ENGINE_POLL=SECRET", `CVVD_ENGINE_POLL: must be a duration`},
		{"", "CVVD_TRACING_SAMPLING_RATIO=SECRET", `CVVD_TRACING_SAMPLING_RATIO: must be a number`},
		{"", "CVVD_LISTEN_PLAINTEXT=SECRET", `CVVD_LISTEN_PLAINTEXT: must be true or false`},
	} {
		t.Run(test.text+test.variable, func(t *testing.T) {
			name := filepath.Join(dir, "c.toml")
			must.Do(t, os.WriteFile(name, []byte(test.text), 0o600))
			_, err := Load(name, []string{test.variable})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	if _, err := Load(filepath.Join(dir, "none.toml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestConfig_PrintsNoSecret(t *testing.T) {
	const hidden = "MARK-of-a-secret"
	c := Default()
	must.Do(t, c.Override([]string{"CVVD_STORE_URL=postgres://u:" + hidden + "@h/d", "CVVD_KEYS_SEALING=1:" + hidden, "CVVD_CVV_CVK=" + hidden, "CVVD_EVENTS_WEBHOOK_SECRET=" + hidden}))
	c.Store.Kind, c.CVV.Kind, c.Events.Sink = "postgres", "derived", "webhook"
	text := written(t, c)
	if n := strings.Count(text, "[redacted]"); n != 4 {
		t.Errorf("%d secrets of 4 are redacted", n)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		text += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, c.Keys.Sealing)
	}
	if b, err := json.Marshal(c); err == nil {
		text += string(b)
	}
	err := c.Check(context.Background(), All...)
	if err == nil {
		t.Error("a key that is none passes")
	}
	text += err.Error()
	if strings.Contains(text, hidden) {
		t.Error("a secret is shown")
	}
}

func TestDuration_StringOmitsZeroParts(t *testing.T) {
	for _, s := range []string{"0s", "90ms", "1m30s", "2m", "20m", "24h", "168h", "1h30m", "10h"} {
		var d Duration
		t.Run(s, func(t *testing.T) {
			if err := d.set(s); err != nil || d.String() != s {
				t.Error(d, err)
			}
		})
	}
}

// An error names a place, and neither parsing nor checking panics.
func FuzzParse_WrittenConfigurationParsesToTheSame(f *testing.F) {
	f.Add("[store]\nkind = \"postgres\"\nurl = \"postgres://h/d\"\n")
	f.Add("[engine]\npoll = \"1s\"\nbatch = 7\n[limits]\ncard_per_second = 1e3\n[auth]\nalgorithms = [\"ES256\"]")
	f.Add("store.path = \"x\"\n")
	f.Add("[listen]\npci = \"[::1]:0\"\nplaintext = true")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), ":") {
				t.Errorf("no place: %v", err)
			}
			return
		}
		var a, b strings.Builder
		c.Write(&a)
		again, err := Parse([]byte(a.String()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, a.String())
		}
		again.Store.URL, again.Events.WebhookURL, again.Events.NATSURL = c.Store.URL, c.Events.WebhookURL, c.Events.NATSURL
		again.Write(&b)
		if a.String() != b.String() {
			t.Error(cmp.Diff(a.String(), b.String()))
		}
		c.Check(context.Background(), "rules", "engine", "auth", "limits", "log", "tracing")
	})
}
