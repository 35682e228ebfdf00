package storetest

import (
	"reflect"
	"testing"

	"cvvrotation/rotation/engine/store"
)

// A method that is not in the list is not tested after Close and after its context has
// ended.
func TestCalls_NameEveryMethod(t *testing.T) {
	named := map[string]bool{"Close": true, "Clock": true}
	for _, c := range calls {
		named[c.name] = true
	}
	methods := reflect.TypeFor[store.Store]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; !named[name] {
			t.Errorf("calls has no %s", name)
		}
	}
}
