// Package must shortens the steps of a test whose failure ends it.
package must

import "github.com/google/go-cmp/cmp"

// T is a test, a benchmark, a fuzz target or a rapid test.
type T interface {
	Helper()
	Fatal(args ...any)
}

// Do ends the test if err is not nil.
func Do(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Get returns a function that returns v, or ends the test if err is not nil:
//
//	file := must.Get(os.Open(name))(t)
func Get[V any](v V, err error) func(T) V {
	return func(t T) V {
		t.Helper()
		Do(t, err)
		return v
	}
}

// Equal ends the test with the difference if x and y differ, as cmp.Diff compares
// them.
func Equal(t T, x, y any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(x, y, options...); diff != "" {
		t.Fatal(diff)
	}
}
