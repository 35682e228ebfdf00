// Package must shortens the steps of a test whose errors end it.
package must

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

// Get takes what a call returned, and gives the value to the test, which an error ends:
//
//	file := must.Get(os.Open(name))(t)
func Get[V any](v V, err error) func(T) V {
	return func(t T) V {
		t.Helper()
		Do(t, err)
		return v
	}
}
