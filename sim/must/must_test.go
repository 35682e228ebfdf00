package must_test

import (
	"fmt"
	"io"
	"strconv"
	"testing"

	"cvvrotation/sim/must"
)

type fake struct{ fatal []any }

func (f *fake) Helper()           {}
func (f *fake) Fatal(args ...any) { f.fatal = args }

func TestGet_EndsTheTestWithTheError(t *testing.T) {
	call := func(err error) (int, error) { return 7, err }
	var f fake
	if n := must.Get(call(nil))(&f); n != 7 || f.fatal != nil {
		t.Errorf("%d, ended with %v; want 7", n, f.fatal)
	}
	if must.Get(call(io.EOF))(&f); len(f.fatal) != 1 || f.fatal[0] != io.EOF {
		t.Errorf("ended with %v, want EOF", f.fatal)
	}
}

func TestEqual_EndsTheTestWithTheDifference(t *testing.T) {
	var f fake
	if must.Equal(&f, []int{1}, []int{1}); f.fatal != nil {
		t.Errorf("ended with %v; want nothing", f.fatal)
	}
	if must.Equal(&f, []int{1}, []int{2}); f.fatal == nil {
		t.Error("not ended")
	}
}

func Example() {
	var t fake // a *testing.T in a test
	fmt.Println(must.Get(strconv.Atoi("201"))(&t))
	// Output: 201
}
