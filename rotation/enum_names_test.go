package rotation_test

import (
	"encoding"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cvvrotation/rotation"
)

// Each value of an enumeration, known or not, prints; the known ones, which are
// those that docs/rules.md spells, round trip through text, and the others are
// errors.
func TestEnums_RoundTripAsText(t *testing.T) {
	type text interface {
		encoding.TextMarshaler
		fmt.Stringer
	}
	for _, enum := range []struct {
		name    string
		value   func(uint8) text
		decode  func(string) (text, error) // into the known value 1
		first   uint8
		names   string
		unknown error
	}{
		{
			"Kind", func(n uint8) text { return rotation.Kind(n) },
			func(s string) (text, error) { k := rotation.Kind(1); err := k.UnmarshalText([]byte(s)); return k, err },
			1, "forced auto set_interval disable", rotation.ErrKind,
		},
		{
			"Reason", func(n uint8) text { return rotation.Reason(n) },
			func(s string) (text, error) {
				r := rotation.Reason(1)
				err := r.UnmarshalText([]byte(s))
				return r, err
			},
			1, "scheduled guard rotation_off interval_set unchanged not_due duplicate superseded", rotation.ErrReason,
		},
		{
			"GuardFrom", func(n uint8) text { return rotation.GuardFrom(n) },
			func(s string) (text, error) {
				f := rotation.GuardFrom(1)
				err := f.UnmarshalText([]byte(s))
				return f, err
			},
			0, "request scheduling", rotation.ErrGuardFrom,
		},
	} {
		t.Run(enum.name, func(t *testing.T) {
			names := strings.Fields(enum.names)
			for n := range 256 {
				v := enum.value(uint8(n))
				i := n - int(enum.first)
				data, err := v.MarshalText()
				if i < 0 || i >= len(names) {
					if want := fmt.Sprintf("%s(%d)", enum.name, n); v.String() != want || !errors.Is(err, enum.unknown) || data != nil {
						t.Errorf("%d prints as %s and marshals to %q, %v", n, v, data, err)
					}
					continue
				}
				if v.String() != names[i] || string(data) != names[i] || err != nil {
					t.Errorf("%d prints as %s and marshals to %q, %v; want %s", n, v, data, err, names[i])
				}
				if back, err := enum.decode(names[i]); back != v || err != nil {
					t.Errorf("%s came back as %v, %v", names[i], back, err)
				}
			}
			for _, bad := range []string{"", " ", "Forced", "forced ", "guard\n", enum.name + "(1)", enum.value(255).String()} {
				if v, err := enum.decode(bad); v != enum.value(1) || !errors.Is(err, enum.unknown) {
					t.Errorf("%q gave %v, %v", bad, v, err)
				}
			}
		})
	}
}

// The right half of the rules' table, for every rule there is and is not.
func TestRule_FollowsTable(t *testing.T) {
	want := strings.Fields(`
		R1:rotate,rotation_off R2:rotate,guard R3:rotate,reschedule,scheduled
		R4:rotation_off R5:rotate,reschedule,scheduled R6:rotate,guard
		R7:rotate,reschedule,scheduled R8:reschedule,interval_set R9:unchanged
		R10:rotation_off R11:not_due R12:duplicate R13:superseded R14:rotate,guard`)
	for n := range 256 {
		r := rotation.Rule(n)
		got := r.String() + ":"
		if r.Rotates() {
			got += "rotate,"
		}
		if r.Reschedules() {
			got += "reschedule,"
		}
		got += r.Reason().String()
		expected := fmt.Sprintf("Rule(%d):Reason(0)", n)
		if n >= 1 && n <= len(want) {
			expected = want[n-1]
		}
		if got != expected {
			t.Errorf("got %s, want %s", got, expected)
		}
		d := rotation.Decision{Rule: r, Scenario: 3, Missed: 2}
		if d.Rotate() != r.Rotates() || d.Reschedule() != r.Reschedules() || d.Reason() != r.Reason() {
			t.Errorf("%v does not follow from its rule", d)
		}
		if want := fmt.Sprintf("%v %v, scenario 3, missed 2", r, r.Reason()); d.String() != want {
			t.Errorf("got %s, want %s", d, want)
		}
	}
}
