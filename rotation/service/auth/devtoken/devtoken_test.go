package devtoken_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
)

func Example() {
	issuer := devtoken.New(nil)
	token := issuer.Token(auth.Caller{Subject: "developer", Account: "acme", Scopes: []string{"cvv:read"}}, time.Hour)

	request, _ := http.NewRequest("GET", "/v1/cards/card-7c1e/cvv/rotation", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	caller, err := issuer.AuthenticateRequest(request)
	fmt.Println(caller.Subject, caller.Account, caller.Has("cvv:read"), err)
	// Output: developer acme true <nil>
}

func TestToken_IsAcceptedByItsIssuerUntilItExpires(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	issuer, other := devtoken.New(mock), devtoken.New(mock)
	want := auth.Caller{Subject: "me", Account: "acme", Scopes: []string{"cvv:read", "cvv:rotate"}}
	token := issuer.Token(want, time.Hour)
	got, err := issuer.Authenticate(t.Context(), token)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if _, err := other.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrSignature) {
		t.Errorf("another issuer's token: %v", err)
	}
	mock.Add(time.Hour)
	if _, err := issuer.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("an expired token: %v", err)
	}
}
