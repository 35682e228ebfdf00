package api_test

import (
	"fmt"
	"testing"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

func TestRateLimits_CountPerCallerAndPerCardOfAnAccount(t *testing.T) {
	s := newSite(t, setup{api: api.Options{
		PerCard:   api.Rate{PerSecond: 1, Burst: 3},
		PerCaller: api.Rate{PerSecond: 2, Burst: 5},
	}})
	s.card("a", 0)
	s.card("b", 0)
	mint := func(subject, account string) string {
		return s.dev.Token(auth.Caller{Subject: subject, Account: account, Scopes: allScopes}, time.Hour)
	}
	first, second, other := mint("first", "acme"), mint("second", "acme"), mint("third", "other")
	get := func(card, token string, status int) {
		t.Helper()
		a := s.do(request{method: "GET", path: "/v1/cards/" + card + "/cvv/rotation", token: token})
		a.want(t, status)
		if status == 429 && a.header.Get("Retry-After") != "1" {
			t.Error(a.header)
		}
	}
	for range 3 {
		get("a", other, 403) // does not count for account acme
	}
	for range 3 {
		get("a", first, 200)
	}
	get("a", first, 429)  // the limit of the card
	get("a", second, 429) // the same limit, with another caller of the account
	get("b", first, 200)
	get("b", first, 429) // the limit of the caller
	get("b", second, 200)
	s.clock.add(time.Second)
	get("a", first, 200)
	get("a", first, 429)
	s.clock.add(time.Minute)
	for range 3 {
		get("a", first, 200)
	}
	get("a", first, 429)
}

// TestLimiter_BoundsItsMemory: it also keeps a recent key when a generation changes.
func TestLimiter_BoundsItsMemory(t *testing.T) {
	l := api.NewLimiter(api.Rate{PerSecond: 0.001, Burst: 1})
	if l.Take("x", start) != 0 || l.Take("x", start) == 0 {
		t.Fatal("a burst of 1")
	}
	for i := range 3 * api.MaxLimited {
		l.Take(fmt.Sprint(i), start)
		if i == api.MaxLimited && l.Take("x", start) == 0 {
			t.Error("a recent key was dropped")
		}
	}
	if n := l.Len(); n > 2*api.MaxLimited {
		t.Errorf("%d keys", n)
	}
	later := start.Add(time.Hour)
	l.Take("y", later)
	l.Take("y", later.Add(time.Hour))
	if n := l.Len(); n > 2 {
		t.Errorf("%d keys, hours later", n)
	}
	unlimited := api.NewLimiter(api.Rate{})
	if unlimited.Take("x", start) != 0 || unlimited.Len() != 0 {
		t.Error("a limiter without a limit keeps keys")
	}
}
