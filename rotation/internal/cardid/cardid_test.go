package cardid

import (
	"strings"
	"testing"
)

func TestCheck_AcceptsIDsAndRefusesWhatLooksLikeAPAN(t *testing.T) {
	for id, want := range map[string]bool{
		"card-1":                               true,
		"A.b:c_d":                              true,
		strings.Repeat("4", 11):                true,
		strings.Repeat("4", 20):                true,
		strings.Repeat("a", Max):               true,
		"0191e7c5-7d3a-7b21-9e0f-123456789012": true,
		"":                                     false,
		".a":                                   false,
		"a/b":                                  false,
		"é":                                    false,
		strings.Repeat("a", Max+1):             false,
		strings.Repeat("4", 12):                false,
		strings.Repeat("4", 19):                false,
		"4111-1111.1111_1111":                  false,
	} {
		if err := Check(id); (err == nil) != want {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := CheckName(strings.Repeat("4", 16)); err != nil { // an account may be digits
		t.Error(err)
	}
}
