package cvvgen_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"database/sql"
	"database/sql/driver"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"expvar"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"log/slog"
	"math"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"text/template"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim/must"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The tests here send every secret type of this module down every route by which
// values usually end up in logs, errors, dumps and stores, and search what comes out
// for the secret in all the forms it may take. The same routes with naive types
// show that the search finds something.

// route is one way for a value to be turned into output.
type route struct {
	name string
	run  func() string
}

type unexported[T any] struct{ secret T }

type exported[T any] struct {
	Secret T `json:"secret" xml:"secret"`
}

type deep[T any] struct {
	inner *unexported[T]
	list  []T
	any   any
}

type jsonString[T any] struct {
	//lint:ignore SA5008 the option is ignored for a CVV, and just that is the route
	Secret T `json:",string"`
}

type xmlAttr[T any] struct {
	XMLName xml.Name `xml:"card"`
	Secret  T        `xml:"secret,attr"`
}

type xmlText[T any] struct {
	Secret T `xml:",chardata"`
}

type holderError[T any] struct{ secret T }

func (holderError[T]) Error() string { return "failed" }

// wrap is a variable because vet knows that %w is for errors only.
var wrap = "rotating: %w"

// withError puts an encoder's output and its error into the searched text.
func withError[T string | []byte](out T, err error) string { return fmt.Sprintf("%s %v", out, err) }

// routes returns all routes for the value.
func routes[T any](v T) []route {
	var all []route
	add := func(name string, run func() string) { all = append(all, route{name, run}) }

	containers := []struct {
		name string
		v    any
	}{
		{"value", v},
		{"pointer", &v},
		{"slice", []T{v}},
		{"slice of pointers", []*T{&v}},
		{"slice of any", []any{v}},
		{"array", [1]T{v}},
		{"map value", map[string]T{"k": v}},
		{"unexported field", unexported[T]{v}},
		{"pointer to unexported field", &unexported[T]{v}},
		{"exported field", exported[T]{v}},
		{"deep", deep[T]{&unexported[T]{v}, []T{v}, v}},
		{"error with a field", holderError[T]{v}},
	}
	if reflect.TypeFor[T]().Comparable() {
		m := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[T](), reflect.TypeFor[int]()))
		m.SetMapIndex(reflect.ValueOf(v), reflect.ValueOf(1))
		containers = append(containers, struct {
			name string
			v    any
		}{"map key", m.Interface()})
	}

	for _, c := range containers {
		for _, verb := range cvvgen.Verbs {
			add("fmt "+verb+" "+c.name, func() string { return fmt.Sprintf(verb, c.v) })
		}
		add("fmt.Sprint "+c.name, func() string { return fmt.Sprint(c.v) })
		add("fmt.Errorf %w "+c.name, func() string { return fmt.Errorf(wrap, c.v).Error() })
		add("errors.Join "+c.name, func() string { return errors.Join(fmt.Errorf("card %v", c.v), errors.New("x")).Error() })
		add("panic value "+c.name, func() (out string) {
			defer func() { out = fmt.Sprint(recover()) }()
			panic(c.v)
		})
		add("slog text "+c.name, func() string {
			var b bytes.Buffer
			logAll(slog.NewTextHandler(&b, nil), c.v)
			return b.String()
		})
		add("slog JSON "+c.name, func() string {
			var b bytes.Buffer
			logAll(slog.NewJSONHandler(&b, nil), c.v)
			return b.String()
		})
		add("log "+c.name, func() string {
			var b bytes.Buffer
			l := log.New(&b, "", 0)
			l.Println("card", c.v)
			l.Printf("card %+v", c.v)
			return b.String()
		})
		add("json "+c.name, func() string { return withError(json.Marshal(c.v)) })
		add("json indented in any "+c.name, func() string {
			return withError(json.MarshalIndent(map[string]any{"k": []any{c.v}}, "", " "))
		})
		add("json stream "+c.name, func() string {
			var b bytes.Buffer
			err := json.NewEncoder(&b).Encode(c.v)
			return withError(b.String(), err)
		})
		add("json v2 "+c.name, func() string { return withError(jsonv2.Marshal(c.v)) })
		add("xml "+c.name, func() string { return withError(xml.Marshal(c.v)) })
		add("gob "+c.name, func() string {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(c.v)
			return withError(b.String(), err)
		})
		add("encoding/binary "+c.name, func() string {
			b, err := binary.Append(nil, binary.BigEndian, c.v)
			return withError(b, err)
		})
		add("asn1 "+c.name, func() string { return withError(asn1.Marshal(c.v)) })
		add("text/template "+c.name, func() string {
			return execute(template.Must(template.New("").Parse(`{{.}} {{printf "%d %x" . .}} {{print .}}`)), c.v)
		})
		add("text/template error "+c.name, func() string {
			return execute(template.Must(template.New("").Parse(`{{.Missing}}`)), c.v)
		})
		add("html/template "+c.name, func() string {
			return execute(htmltemplate.Must(htmltemplate.New("").Parse(
				`<a title="{{.}}" href="/?c={{.}}" onclick="f({{.}})">{{.}}</a>`)), c.v)
		})
		add("html/template script "+c.name, func() string {
			return execute(htmltemplate.Must(htmltemplate.New("").Parse(`<script>var c = {{.}};</script>`)), c.v)
		})
		add("go-cmp "+c.name, func() string {
			other := reflect.New(reflect.TypeOf(c.v)).Elem().Interface()
			all := cmp.Exporter(func(reflect.Type) bool { return true })
			return recovered(func() string { return cmp.Diff(c.v, other, all) + cmp.Diff(any(c.v), any(1), all) })
		})
		add("reflect walk "+c.name, func() string {
			var b strings.Builder
			walk(&b, reflect.ValueOf(c.v), 0)
			return b.String()
		})
		add("expvar "+c.name, func() string { return expvar.Func(func() any { return c.v }).String() })
		add("sql parameter "+c.name, func() string { return execSQL(c.v) })
		add("sql named parameter "+c.name, func() string { return execSQL(sql.Named("cvv", c.v)) })
		add("context "+c.name, func() string {
			//lint:ignore SA1029 no other package sees this context
			return fmt.Sprint(context.WithValue(context.Background(), struct{}{}, c.v))
		})
		add("atomic.Value "+c.name, func() string {
			var a atomic.Value
			a.Store(c.v)
			return fmt.Sprintf("%+v", &a)
		})
		add("url "+c.name, func() string {
			u := "http://host/?cvv=" + url.QueryEscape(fmt.Sprint(c.v))
			return (&url.Error{Op: "Get", URL: u, Err: errors.New("refused")}).Error()
		})
		add("strconv error "+c.name, func() string {
			_, err := strconv.Atoi(fmt.Sprintf("%vx", c.v))
			return err.Error()
		})
		add("command line "+c.name, func() string { return exec.Command("tool", fmt.Sprint(c.v)).String() })
	}

	add("json ,string", func() string { return withError(json.Marshal(jsonString[T]{v})) })
	add("xml attribute", func() string { return withError(xml.Marshal(xmlAttr[T]{Secret: v})) })
	add("xml character data", func() string { return withError(xml.Marshal(xmlText[T]{v})) })
	add("sql.Null", func() string { return execSQL(sql.Null[T]{V: v, Valid: true}) })
	return all
}

func logAll(h slog.Handler, v any) {
	slog.New(h).With("with", v).Info("m", "a", v, slog.Group("g", "b", v))
}

func recovered(f func() string) (out string) {
	defer func() {
		if p := recover(); p != nil {
			out = fmt.Sprint(p)
		}
	}()
	return f()
}

func execute(t interface{ Execute(io.Writer, any) error }, data any) string {
	var b bytes.Buffer
	err := t.Execute(&b, data)
	return withError(b.String(), err)
}

// walk prints a value as a dumper does that ignores methods and looks into
// unexported fields and behind pointers and interfaces.
func walk(b *strings.Builder, v reflect.Value, depth int) {
	if depth > 12 || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		fmt.Fprintln(b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprintln(b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		fmt.Fprintln(b, v.Uint())
	case reflect.String:
		fmt.Fprintln(b, v.String())
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && (v.Kind() == reflect.Slice || v.CanAddr()) {
			fmt.Fprintf(b, "%v %x\n", v.Bytes(), v.Bytes())
		}
		for i := range v.Len() {
			walk(b, v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			walk(b, it.Key(), depth+1)
			walk(b, it.Value(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(b, v.Field(i), depth+1)
		}
	case reflect.Pointer, reflect.Interface:
		walk(b, v.Elem(), depth+1)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		fmt.Fprintln(b, v.Pointer())
	}
}

// recorder is a database driver that keeps the parameters it is given.
type recorder struct{ got []driver.NamedValue }

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return r, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }
func (r *recorder) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("unused") }
func (r *recorder) Begin() (driver.Tx, error)                    { return nil, errors.New("unused") }
func (r *recorder) Close() error                                 { return nil }

func (r *recorder) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	r.got = args
	return driver.RowsAffected(1), nil
}

func execSQL(arg any) string {
	r := &recorder{}
	db := sql.OpenDB(r)
	defer db.Close()
	_, err := db.Exec("UPDATE cards SET cvv = ?", arg)
	var b strings.Builder
	walk(&b, reflect.ValueOf(r.got), 0)
	return withError(b.String(), err)
}

// A needle is a form in which a secret may come out.
type needle struct{ form, text string }

// digitNeedles returns the forms of a string of digits.
func digitNeedles(s string) []needle {
	n := cvvgen.Get(strconv.ParseUint(s, 10, 64))
	list := func(format, separator string, of func(byte) byte) string {
		var parts []string
		for _, c := range []byte(s) {
			parts = append(parts, fmt.Sprintf(format, of(c)))
		}
		return strings.Join(parts, separator)
	}
	char := func(c byte) byte { return c }
	value := func(c byte) byte { return c - '0' }
	return []needle{
		{"digits", s},
		{"number", strconv.FormatUint(n, 10)},
		{"number in hex", fmt.Sprintf("%x", n)},
		{"number in octal", fmt.Sprintf("%o", n)},
		{"number in binary", fmt.Sprintf("%b", n)},
		{"number before masking", fmt.Sprint((uint64(math.Pow10(len(s)))-1)/9 + n)},
		{"number little-endian", string(binary.LittleEndian.AppendUint64(nil, n)[:3])},
		{"number big-endian", string(binary.BigEndian.AppendUint64(nil, n)[5:])},
		{"bytes in hex", list("%02x", "", char)},
		{"bytes in hex, spaced", list("%02x", " ", char)},
		{"bytes in Go syntax", list("0x%02x", ", ", char)},
		{"bytes in decimal", list("%d", " ", char)},
		{"bytes in decimal, commas", list("%d", ",", char)},
		{"bytes in decimal, lines", list("%d", "\n", char)},
		{"digits as numbers", list("%d", " ", value)},
		{"digits as numbers, commas", list("%d", ",", value)},
		{"digits as bytes", list("%c", "", value)},
		{"digits quoted", list("'%c'", " ", char)},
		{"runes", list("U+%04X", " ", char)},
		{"base64", strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=")},
	}
}

// keyNeedles returns the forms of a key's bytes, eight at a time.
func keyNeedles(key []byte) []needle {
	all := []needle{
		{"base64", base64.StdEncoding.EncodeToString(key)[:20]},
		{"number", fmt.Sprint(binary.LittleEndian.Uint64(key))},
	}
	for part := range slices.Chunk(key, 8) {
		name := fmt.Sprintf("part %d ", len(all))
		n := binary.BigEndian.Uint64(part)
		var decimal, goSyntax []string
		for _, b := range part {
			decimal = append(decimal, fmt.Sprint(b))
			goSyntax = append(goSyntax, fmt.Sprintf("0x%x", b))
		}
		all = append(all,
			needle{name + "raw", string(part)},
			needle{name + "in hex", hex.EncodeToString(part)},
			needle{name + "in hex, spaced", fmt.Sprintf("% x", part)},
			needle{name + "in decimal", strings.Join(decimal, " ")},
			needle{name + "in decimal, commas", strings.Join(decimal, ",")},
			needle{name + "in decimal, lines", strings.Join(decimal, "\n")},
			needle{name + "in Go syntax", strings.Join(goSyntax, ", ")},
			needle{name + "in quotes", fmt.Sprintf("%q", part)[1:]},
			needle{name + "as number", fmt.Sprint(n)},
		)
	}
	return all
}

// pairNeedles adds the first number of each half's key schedule.
func pairNeedles(pair []byte) []needle {
	all := keyNeedles(pair)
	for i, half := range [][]byte{pair[:8], pair[8:]} {
		block := cvvgen.Get(des.NewCipher(half))
		subkey := reflect.ValueOf(block).Elem().Field(0).Index(0).Uint()
		name := string(rune('A'+i)) + " subkey"
		all = append(all, needle{name, fmt.Sprint(subkey)}, needle{name + " in hex", fmt.Sprintf("%x", subkey)})
	}
	return all
}

// aesNeedles adds the numbers with which AES's key schedule begins.
func aesNeedles(key []byte) []needle {
	all := keyNeedles(key)
	for i, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		name := []string{"big-endian", "little-endian"}[i] + " words"
		all = append(all,
			needle{name, fmt.Sprintf("%d\n%d\n", order.Uint32(key), order.Uint32(key[4:]))},
			needle{name + " in hex", fmt.Sprintf("%x", order.Uint32(key))},
			needle{name + " in decimal", fmt.Sprintf("%d %d", order.Uint32(key), order.Uint32(key[4:]))},
		)
	}
	return all
}

// leaks returns the form in which a route shows each of several secrets, or "".
// That it must be each, and in the same form, keeps chance out: masked numbers
// contain any three digits now and then.
func leaks(outputs []string, needles [][]needle) string {
	for form := range needles[0] {
		shown := 0
		for i, out := range outputs {
			text := needles[i][form].text
			if strings.Contains(out, text) || strings.Contains(strings.ToLower(out), strings.ToLower(text)) {
				shown++
			}
		}
		if shown == len(outputs) {
			return needles[0][form].form
		}
	}
	return ""
}

// leaking runs all routes for all values and returns the names of those that
// leak, with the form, and the number of routes.
func leaking[T any](values []T, needles [][]needle) (names []string, total int) {
	var all [][]route
	for _, v := range values {
		all = append(all, routes(v))
	}
	for r := range all[0] {
		outputs := make([]string, len(values))
		for i := range values {
			outputs[i] = all[i][r].run()
		}
		if form := leaks(outputs, needles); form != "" {
			names = append(names, all[0][r].name+": "+form)
		}
	}
	return names, len(all[0])
}

// naive is what one writes first.
type naive string

// naiveNumber is what one writes to save memory.
type naiveNumber uint64

// naiveKey too: the key as bytes, and a cipher with its schedules.
type naiveKey struct {
	pair  []byte
	block cipher.Block
}

var (
	secrets3    = []string{"739", "482", "061", "957", "628", "390", "845", "276"}
	secrets5    = []string{"73914", "48260", "06175", "95738", "62849", "39027"}
	secretPANs  = []string{"4123456789012349", "5555341244441115", "370000000000002", "9999999999999999999"}
	secretPairs = []string{"4C37C8319D76ADAB58D9431543C2165B", "0123456789ABCDEFFEDCBA9876543210", "E3B5D94F2A7C6D8313579BDF02468ACE"}
	secretKeys  = []string{
		"5F3759DF8D2A41C69B7E10F3A4C2E8675D91B06C3EF7284A90D5C1B6E27F8A34",
		"C0FFEE91A7B35D2846E1F08C9D72B3A45E60F19B8C27D4A3F5186E09B7D2C4A1",
	}
)

func TestSecrets_DoNotLeak(t *testing.T) {
	cvvs := slices.Concat(secrets3, secrets5)
	mustNotLeak(t, "CVV", cvvs, cvvgen.MustCVV, digitNeedles)
	mustNotLeak(t, "Rotation", cvvs, func(s string) cvvgen.Rotation { return cvvgen.Rotation{CVV: cvvgen.MustCVV(s)} }, digitNeedles)
	mustNotLeak(t, "engine.Revealed", cvvs, func(s string) engine.Revealed { return engine.Revealed{CVV: cvvgen.MustCVV(s)} }, digitNeedles)
	mustNotLeak(t, "PAN", secretPANs, cvvgen.MustPAN, digitNeedles)
	mustNotLeak(t, "Card", secretPANs, card, digitNeedles)
	mustNotLeak(t, "engine.RegisterRequest", secretPANs, func(s string) engine.RegisterRequest { return engine.RegisterRequest{Particulars: card(s)} }, digitNeedles)
	mustNotLeak(t, "CVK", secretPairs, cvvgen.MustCVK, unhexed(pairNeedles))
	mustNotLeak(t, "*Local", secretPairs, local, unhexed(pairNeedles))
	mustNotLeak(t, "Local", secretPairs, func(s string) cvvgen.Local { return *local(s) }, unhexed(pairNeedles))
	mustNotLeak(t, "seal.Key", secretKeys, sealKey, unhexed(aesNeedles))
	mustNotLeak(t, "*seal.Keyring", secretKeys, keyring, unhexed(aesNeedles))
	mustNotLeak(t, "seal.Keyring", secretKeys, func(s string) seal.Keyring { return *keyring(s) }, unhexed(aesNeedles))
	mustNotLeak(t, "engine.Random", secretKeys, func(s string) engine.Generator { return engine.Random(new(cvvgen.Random), keyring(s)) }, unhexed(aesNeedles))
	mustNotLeak(t, "engine.Derived by its key", secretPairs, func(s string) engine.Generator {
		return engine.Derived(local(s), keyring(secretKeys[0]), engine.DerivedOptions{})
	}, unhexed(pairNeedles))
	mustNotLeak(t, "engine.Derived by its keyring", secretKeys, func(s string) engine.Generator {
		return engine.Derived(local(secretPairs[0]), keyring(s), engine.DerivedOptions{})
	}, unhexed(aesNeedles))
}

// mustNotLeak sends a value that holds each of the secrets down all routes.
func mustNotLeak[T any](t *testing.T, name string, secrets []string, holding func(string) T, needles func(string) []needle) {
	t.Run(name, func(t *testing.T) {
		leaked, total := leaking(apply(holding, secrets), apply(needles, secrets))
		t.Logf("%d routes, %d leak", total, len(leaked))
		for _, route := range leaked {
			t.Errorf("leaks by %s", route)
		}
	})
}

func unhexed(needles func([]byte) []needle) func(string) []needle {
	return func(s string) []needle { return needles(cvvgen.Unhex(s)) }
}

func card(pan string) cvvgen.Card {
	expiry := cvvgen.Get(cvvgen.ParseExpiry(cvvgen.ExpiryOrderYYMM, "2511"))
	return cvvgen.Card{PAN: cvvgen.MustPAN(pan), Expiry: expiry}
}

func local(pair string) *cvvgen.Local {
	return cvvgen.Get(cvvgen.NewLocal(cvvgen.MustCVK(pair), cvvgen.ExpiryOrderYYMM, 3))
}

func sealKey(s string) seal.Key { return seal.NewKey(7, cvvgen.Unhex(s)) }

func keyring(s string) *seal.Keyring {
	return cvvgen.Get(seal.NewKeyring(sealKey(s)))
}

// The control: the same routes, forms and search find naive types on most
// routes. What they miss is routes that show no value, such as %T, pointers
// printed as addresses, and encoders that refuse.
func TestSecrets_LeakFromNaiveTypes(t *testing.T) {
	check := func(name string, leaked []string, total, percent int) {
		t.Helper()
		t.Logf("%s: %d routes, %d leak", name, total, len(leaked))
		if len(leaked)*100 < total*percent {
			t.Errorf("%s leaks by %d of %d routes, want %d %%", name, len(leaked), total, percent)
		}
	}
	for _, secrets := range [][]string{secrets3, secrets5, secretPANs} {
		leaked, total := leaking(apply(func(s string) naive { return naive(s) }, secrets), apply(digitNeedles, secrets))
		check("naive", leaked, total, 60)
		for _, must := range []string{"fmt %d value", "fmt %x unexported field", "json map key", "go-cmp value", "sql parameter value", "gob exported field", "slog JSON exported field", "html/template script value", "reflect walk deep"} {
			if !slices.ContainsFunc(leaked, func(s string) bool { return strings.HasPrefix(s, must+":") }) {
				t.Errorf("naive does not leak by %s", must)
			}
		}
	}
	needles := apply(unhexed(pairNeedles), secretPairs)
	leaked, total := leaking(apply(func(s string) naiveKey {
		block := cvvgen.Get(des.NewCipher(cvvgen.Unhex(s)[:8]))
		return naiveKey{cvvgen.Unhex(s), block}
	}, secretPairs), needles)
	check("naive key", leaked, total, 50)
	// A struct that keeps only the cipher leaks the key schedule to a dumper.
	leaked, _ = leaking(apply(func(s string) unexported[cipher.Block] {
		block := cvvgen.Get(des.NewCipher(cvvgen.Unhex(s)[:8]))
		return unexported[cipher.Block]{block}
	}, secretPairs), needles)
	if !slices.Contains(leaked, "reflect walk value: A subkey") {
		t.Error("the walk does not find the key schedule of a bare cipher")
	}
	leaked, _ = leaking(apply(func(s string) unexported[cipher.Block] {
		block := cvvgen.Get(aes.NewCipher(cvvgen.Unhex(s)))
		return unexported[cipher.Block]{block}
	}, secretKeys), apply(unhexed(aesNeedles), secretKeys))
	if !slices.ContainsFunc(leaked, func(s string) bool { return strings.HasPrefix(s, "reflect walk value: ") }) {
		t.Errorf("the walk does not find the key schedule of a bare AES cipher, only %v", leaked)
	}
}

func apply[A, B any](f func(A) B, in []A) []B {
	var out []B
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

// The routes of a process that ends, or of a test that fails: each needs a
// process of its own, this test binary with a job.
const childEnv = "CVVGEN_LEAK_CHILD"

func childRoutes[T any](v T) map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"panic":                  func(*testing.T) { go panic(v); select {} },
		"panic pointer":          func(*testing.T) { go panic(&v); select {} },
		"panic unexported field": func(*testing.T) { go panic(unexported[T]{v}); select {} },
		"panic error":            func(*testing.T) { go panic(fmt.Errorf("card %v", v)); select {} },
		"traceback arguments":    func(*testing.T) { go crash(v, []T{v}, unexported[T]{v}); select {} },
		"t.Error":                func(t *testing.T) { t.Error("got", v) },
		"t.Errorf %d":            func(t *testing.T) { format := "got %d, %+v"; t.Errorf(format, v, unexported[T]{v}) },
		"t.Fatal":                func(t *testing.T) { t.Fatal(unexported[T]{v}, exported[T]{v}) },
		"t.Attr and t.Name":      func(t *testing.T) { t.Run(fmt.Sprint(v), func(t *testing.T) { t.Fail() }) },
		"rapid": func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				rapid.Just(v).Draw(t, "secret")
				rapid.Just(unexported[T]{v}).Draw(t, "holder")
				t.Fatal("failed")
			})
		},
		"debug.Stack": func(t *testing.T) { t.Error(stack(v, unexported[T]{v})) },
	}
}

// crash and stack use their arguments afterwards, which keeps them on the stack
// and in the traceback.
//
//go:noinline
func crash[T any](v T, list []T, u unexported[T]) {
	die()
	fmt.Fprint(io.Discard, v, list, u)
}

//go:noinline
func die() { panic("crashed") }

//go:noinline
func stack[T any](v T, u unexported[T]) string {
	s := debug.Stack()
	fmt.Fprint(io.Discard, v, u)
	return string(s)
}

func TestSecrets_ChildProcess(t *testing.T) {
	job := strings.SplitN(os.Getenv(childEnv), "|", 3)
	if len(job) != 3 {
		return // it has a job only in a child process
	}
	kind, secret, route := job[0], job[1], job[2]
	switch kind {
	case "CVV":
		childRoutes(cvvgen.MustCVV(secret))[route](t)
	case "PAN":
		childRoutes(cvvgen.MustPAN(secret))[route](t)
	case "CVK":
		childRoutes(cvvgen.MustCVK(secret))[route](t)
	case "seal.Keyring":
		childRoutes(*keyring(secret))[route](t)
	case "naive":
		childRoutes(naive(secret))[route](t)
	case "naive number":
		n := must.Get(strconv.ParseUint(secret, 10, 64))(t)
		childRoutes(naiveNumber(n))[route](t)
	}
}

func TestSecrets_DoNotLeakFromDyingProcess(t *testing.T) {
	child := func(kind, secret, route string) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSecrets_ChildProcess$", "-rapid.nofailfile", "-rapid.checks=1")
		cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{kind, secret, route}, "|"), "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("%s by %s: the child did not fail", kind, route)
		}
		return string(out)
	}
	naiveLeaks := map[string]bool{} // of either naive type
	names := childRoutes(naive(""))
	for name := range names {
		for _, tt := range []struct {
			kind    string
			secrets []string
			needles func(string) []needle
		}{
			{"CVV", secrets5[:3], digitNeedles},
			{"PAN", secretPANs[:2], digitNeedles},
			{"CVK", secretPairs[:2], unhexed(pairNeedles)},
			{"seal.Keyring", secretKeys, unhexed(aesNeedles)},
			{"naive", secrets5[:3], digitNeedles},
			{"naive number", secrets5[:3], digitNeedles},
		} {
			outputs := apply(func(s string) string { return child(tt.kind, s, name) }, tt.secrets)
			form := leaks(outputs, apply(tt.needles, tt.secrets))
			switch {
			case form == "":
			case strings.HasPrefix(tt.kind, "naive"):
				naiveLeaks[name] = true
			default:
				t.Errorf("%s leaks by %s: %s", tt.kind, name, form)
			}
		}
	}
	for name := range names {
		// A pointer in a panic is printed as an address.
		if !naiveLeaks[name] && name != "panic pointer" && name != "panic unexported field" {
			t.Errorf("neither naive type leaks by %s", name)
		}
	}
}

// Decoders report malformed secrets without quoting them. (A JSON number is
// refused whatever its value; a CVV with a leading zero is not one.)
func TestUnmarshalText_ErrorsDoNotQuote(t *testing.T) {
	type request struct {
		CVV cvvgen.CVV `json:"cvv" xml:"cvv"`
	}
	var ok request
	if err := json.Unmarshal([]byte(`{"cvv":"073"}`), &ok); err != nil || ok.CVV != cvvgen.MustCVV("073") {
		t.Errorf("JSON: %v, or another CVV", err)
	}
	if err := xml.Unmarshal([]byte(`<r><cvv>074</cvv></r>`), &ok); err != nil || ok.CVV != cvvgen.MustCVV("074") {
		t.Errorf("XML: %v, or another CVV", err)
	}
	const bad = "73914862" // too long for a CVV
	for name, decode := range map[string]func(*request) error{
		"JSON string": func(r *request) error { return json.Unmarshal([]byte(`{"cvv":"`+bad+`"}`), r) },
		"JSON number": func(r *request) error { return json.Unmarshal([]byte(`{"cvv":`+bad+`}`), r) },
		"JSON array":  func(r *request) error { return json.Unmarshal([]byte(`{"cvv":[`+bad+`]}`), r) },
		"XML":         func(r *request) error { return xml.Unmarshal([]byte("<r><cvv>"+bad+"</cvv></r>"), r) },
		"Sscan":       func(r *request) error { _, err := fmt.Sscan(bad, &r.CVV); return err },
		"Sscanf":      func(r *request) error { _, err := fmt.Sscanf(bad, "%d", &r.CVV); return err },
	} {
		t.Run(name, func(t *testing.T) {
			var r request
			err := decode(&r)
			if err == nil || r.CVV.IsValid() {
				t.Fatal("accepted")
			}
			if form := leaks([]string{fmt.Sprintf("%v %+v %#v", err, err, err)}, [][]needle{digitNeedles(bad)}); form != "" {
				t.Errorf("the error has the input as %s", form)
			}
		})
	}
}
