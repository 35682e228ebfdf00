package api_test

import (
	"testing"

	"cvvrotation/rotation/service/api"
)

// A caller with accounts:any registers for the named account, under that account's
// prefixes, and learns no more of a PAN that another card has.
func TestRegister_DerivedCVVsOfAnotherAccount(t *testing.T) {
	s := newSite(t, setup{cvvs: derived(t)}) // acme: 4
	operator := s.token(append(allScopes, api.ScopeAnyAccount)...)
	put := func(token, card, account, pan string) reply {
		t.Helper()
		return s.do(request{method: "PUT", path: "/v1/cards/" + card, token: token,
			body: `{"account_id":"` + account + `","pan":"` + pan + `","expiry":"2027-11"}`})
	}
	put(operator, "a", "acme", "4000000000000002").want(t, 201)
	put(operator, "b", "other", "4000000000000010").want(t, 400, "invalid-request", "body pan")
	put(operator, "b", "acme", "5000000000000009").want(t, 400, "invalid-request", "body pan")
	put(operator, "b", "acme", "4000000000000002").want(t, 409, "registered-otherwise")
	put("", "b", "acme", "4000000000000002").want(t, 409, "registered-otherwise")
	put("", "b", "other", "4000000000000010").want(t, 403, "other-account")
	put(operator, "a", "acme", "4000000000000002").want(t, 200)
}
