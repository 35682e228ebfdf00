package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
)

func TestOutcomeOf_NamesErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want audit.Outcome
	}{
		{nil, "done"},
		{store.ErrNotFound, "no-such-card"},
		{fmt.Errorf("x: %w", engine.ErrForbidden), "other-account"},
		{engine.ErrKeyReused, "idempotency-key-reused"},
		{engine.ErrRegistered, "registered-otherwise"},
		{store.ErrUnavailable, "unavailable"},
		{store.ErrClosed, "unavailable"},
		{context.DeadlineExceeded, "unavailable"},
		{context.Canceled, "unavailable"},
		{rotation.ErrStateDamaged, "internal-error"},
		{errors.New("x"), "internal-error"},
		{&engine.FieldError{Field: "card"}, "invalid-request"},
		{&rotation.EventError{Field: "first", Err: errors.New("x")}, "invalid-request"},
	} {
		t.Run(fmt.Sprint(test.err), func(t *testing.T) {
			if got := audit.OutcomeOf(test.err); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
