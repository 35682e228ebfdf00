package engine_test

import (
	"errors"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// TestNew_NamesWhatIsMissing or out of range.
func TestNew_NamesWhatIsMissing(t *testing.T) {
	random := engine.Random(nil, keyring(t, 1))
	for _, c := range []struct {
		field string
		store store.Cards
		cvvs  engine.Generator
		o     engine.Options
	}{
		{"store", nil, random, engine.Options{}},
		{"store", (*memory.Store)(nil), random, engine.Options{}},
		{"generator", memory.New(memory.Options{}), nil, engine.Options{}},
		{"generator", memory.New(memory.Options{}), engine.Random(nil, nil), engine.Options{}},
		{"generator", memory.New(memory.Options{}), engine.Derived(nil, keyring(t, 1), engine.DerivedOptions{}), engine.Options{}},
		{"generator", memory.New(memory.Options{}), engine.Derived((*cvvgen.Local)(nil), keyring(t, 1), engine.DerivedOptions{}), engine.Options{}},
		{"generator", memory.New(memory.Options{}), engine.Derived(new(cvvgen.Local), new(seal.Keyring), engine.DerivedOptions{}), engine.Options{}},
		{"generator", memory.New(memory.Options{}), engine.Random(nil, new(seal.Keyring)), engine.Options{}},
		{"Grace", memory.New(memory.Options{}), random, engine.Options{Grace: -1}},
		{"MaxTries", memory.New(memory.Options{}), random, engine.Options{MaxTries: -1}},
		{"Workers and Batch", memory.New(memory.Options{}), random, engine.Options{Batch: -1}},
		{"Poll, Sweep and KeepFor", memory.New(memory.Options{}), random, engine.Options{Poll: -1}},
	} {
		t.Run(c.field, func(t *testing.T) {
			_, err := engine.New(c.store, c.cvvs, c.o)
			var field *engine.FieldError
			if !errors.As(err, &field) || field.Field != c.field {
				t.Error(err)
			}
		})
	}
	must.Get(engine.New(memory.New(memory.Options{}), random, engine.Options{}))(t)
}
