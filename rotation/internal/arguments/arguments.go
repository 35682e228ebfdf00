// Package arguments checks and completes what constructors are given.
package arguments

import (
	"reflect"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// Missing reports whether v is nil, or an interface that holds a nil pointer,
// function or map, as a constructor returns beside an error.
func Missing(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map:
		return r.IsNil()
	}
	return false
}

// ClockOf returns the store's clock if it is a store.Clocked that has one, else the
// real one.
func ClockOf(s any) clock.Clock {
	if c, ok := s.(store.Clocked); ok {
		if clk := c.Clock(); clk != nil {
			return clk
		}
	}
	return clock.New()
}
