package api_test

import (
	"strings"
	"testing"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// TestIdempotencyKey_QuotedAndBareAreOneKey, and the store gets neither.
func TestIdempotencyKey_QuotedAndBareAreOneKey(t *testing.T) {
	long := strings.Repeat("k", engine.MaxKey)
	for _, tt := range []struct{ header, key string }{
		{`abc`, `abc`}, {`"abc"`, `abc`}, {` "abc" `, `abc`},
		{`a"b`, `a"b`}, {`"a\"b"`, `a"b`}, {`abc"`, `abc"`}, {`"abc\""`, `abc"`},
		{`a\b`, `a\b`}, {`"a\\b"`, `a\b`}, {`"\"abc\""`, `"abc"`}, {`'abc'`, `'abc'`},
		{`a b`, `a b`}, {`"a b"`, `a b`}, {`" "`, ` `}, {`a,b`, `a,b`}, {`"a,b"`, `a,b`}, {`"a;b"`, `a;b`},
		{long, long}, {`"` + long + `"`, long}, {`"` + strings.Repeat(`\"`, engine.MaxKey) + `"`, strings.Repeat(`"`, engine.MaxKey)},
	} {
		t.Run(tt.header, func(t *testing.T) {
			s := newSite(t, setup{})
			s.card("a", 0)
			var stored string
			s.store.SetFaults(func(op memory.Op) memory.Fault {
				stored = op.Key
				return memory.Fault{}
			})
			force := func(header string) reply {
				t.Helper()
				a := s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: []string{"Idempotency-Key", header}})
				a.want(t, 200)
				return a
			}
			first := force(tt.header)
			must.Equal(t, store.HashKey("a", tt.key), stored)
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(tt.key) + `"`
			if again := force(quoted); again.raw != first.raw || again.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("%s then %s: %s, %s", tt.header, quoted, first.raw, again.raw)
			}
		})
	}
}

func TestIdempotencyKey_RefusesWhatIsNoString(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	for _, header := range []string{
		`"`, `""`, `"abc`, `"abc"x`, `"abc";a=1`, `"abc", "def"`, `"a"b"`, `"a\b"`, `"a\`, `"\"`, "\"é\"", "é",
		strings.Repeat("k", engine.MaxKey+1), `"` + strings.Repeat("k", engine.MaxKey+1) + `"`,
	} {
		t.Run(header, func(t *testing.T) {
			s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: []string{"Idempotency-Key", header}}).want(t, 400, "invalid-request", "header Idempotency-Key")
		})
	}
	if c := must.Get(s.engine.Show(t.Context(), engine.AnyAccount("a"), 0))(t); c.Version != 1 {
		t.Errorf("a refused call rotated: version %d", c.Version)
	}
}
