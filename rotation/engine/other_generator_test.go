package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim/must"
)

// TestEngine_OtherKindOfGeneratorIsAnError: cards whose CVVs were derived have no random
// CVV, and the other way round. Reveal and Verify must say so, rather than reveal an
// empty CVV or count right ones as wrong, and CheckKeys must refuse to start.
func TestEngine_OtherKindOfGeneratorIsAnError(t *testing.T) {
	for name, test := range map[string]struct{ before, after engine.Generator }{
		"derived, then random": {derived(t), engine.Random(nil, keyring(t, 1))},
		"random, then derived": {engine.Random(nil, keyring(t, 1)), derived(t)},
	} {
		t.Run(name, func(t *testing.T) {
			ref := engine.Ref{Card: "a", Account: "acme"}
			s := memory.New(memory.Options{})
			e := must.Get(engine.New(s, test.before, engine.Options{}))(t)
			request := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
			if name == "derived, then random" {
				request.Particulars = particulars(t)
			}
			_, _, err := e.Register(t.Context(), ref, request)
			must.Do(t, err)
			right := must.Get(e.Reveal(t.Context(), ref))(t).CVV

			e = must.Get(engine.New(s, test.after, engine.Options{}))(t)
			if _, err := e.Reveal(t.Context(), ref); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("reveal: %v", err)
			}
			if v, err := e.Verify(t.Context(), ref, right); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("verify: %v %v", v.Verdict, err)
			}
			if err := e.CheckKeys(t.Context()); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("check: %v", err)
			}
			if c := must.Get(e.Show(t.Context(), ref, 0))(t); c.Tries != 0 {
				t.Errorf("%d failed attempts counted", c.Tries)
			}
		})
	}
}
