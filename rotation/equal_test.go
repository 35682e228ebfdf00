package rotation_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"

	"github.com/google/go-cmp/cmp"
)

// opaque are the exported struct types with unexported fields in the packages that
// services embed, on which cmp.Diff panics unless they have an Equal method: two
// different values of each, or none for keys, generators, stores and the like, which
// tests do not compare.
func opaque(t *testing.T) map[string][2]any {
	cvv := func(digits string) cvvgen.CVV { return must.Get(cvvgen.ParseCVV(digits))(t) }
	pan := func(digits string) cvvgen.PAN { return must.Get(cvvgen.ParsePAN(digits))(t) }
	return map[string][2]any{
		"rotation.State":   {daily(t), after(t, rules, forced(0))},
		"rotation.Event":   {forced(0), auto(0)},
		"rotation.Rules":   {rules, newRules(t, G, rotation.GuardFromScheduling)},
		"servicecode.Code": {servicecode.Code{}, servicecode.CVV2()},
		"cvvgen.CVV":       {cvv("424"), cvv("242")},
		"cvvgen.PAN":       {pan("4111111111111111"), pan("4111111111111112")},
		"cvvgen.Expiry":    {cvvgen.Expiry{}, must.Get(cvvgen.NewExpiry(2026, 11))(t)},
		"engine.Ref":       {engine.Ref{Card: "a"}, engine.AnyAccount("a")},
		"cvvgen.CVK":       {}, "cvvgen.Local": {}, "cvvgen.Random": {}, "engine.Engine": {}, "engine.Tx": {},
		"jsonl.Sink":   {},
		"memory.Store": {}, "outbox.Relay": {}, "seal.Key": {}, "seal.Keyring": {}, "timers.Timers": {},
	}
}

func TestEqual_LetsCmpDiffCompareEveryOpaqueType(t *testing.T) {
	types := opaque(t)
	for _, name := range opaqueTypes(t) {
		values, known := types[name]
		delete(types, name)
		t.Run(name, func(t *testing.T) {
			switch {
			case !known:
				t.Fatal("cmp.Diff panics on it: give it an Equal method, and values in this test")
			case values == [2]any{}:
				return
			}
			for i, a := range values {
				for j, b := range values {
					for what, diff := range map[string]string{
						"value": cmp.Diff(a, b), "pointer": cmp.Diff(&a, &b), "field": cmp.Diff(struct{ F any }{a}, struct{ F any }{b}),
					} {
						if (diff == "") != (a == b) || (i == j) != (a == b) {
							t.Errorf("%s: values %d and %d: %s", what, i, j, diff)
						}
					}
				}
			}
		})
	}
	for name := range types {
		t.Errorf("there is no opaque type %s", name)
	}
}

// opaqueTypes returns the types as package.Type.
func opaqueTypes(t *testing.T) (names []string) {
	for _, root := range []string{".", "../servicecode", "../cvvgen"} {
		must.Do(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && slices.Contains([]string{"internal", "testdata", "service"}, d.Name()):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() && isOpaque(spec.Type) {
					names = append(names, file.Name.Name+"."+spec.Name.Name)
				}
				return true
			})
			return nil
		}))
	}
	return names
}

func isOpaque(typ ast.Expr) bool {
	fields, ok := typ.(*ast.StructType)
	return ok && slices.ContainsFunc(fields.Fields.List, func(f *ast.Field) bool {
		return slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return !n.IsExported() })
	})
}

func TestEqual_EventsOfOneInstantAreEqual(t *testing.T) {
	now := time.Now()
	elsewhere := now.Round(0).In(time.FixedZone("", 3600))
	if !rotation.Forced(now).Equal(rotation.Forced(elsewhere)) || rotation.Forced(now).Equal(rotation.Forced(now.Add(ns))) {
		t.Error("an event is not its instant")
	}
}
