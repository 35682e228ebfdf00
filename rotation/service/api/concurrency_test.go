package api_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine"
)

func ref(card string) engine.Ref { return engine.AnyAccount(card) }

// together sends n requests concurrently and returns the responses.
func (s *site) together(n int, r func(i int) request) []reply {
	s.t.Helper()
	replies := make([]reply, n)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			var err error
			if replies[i], err = s.send(r(i)); err != nil {
				s.t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	return replies
}

// TestRotate_ConcurrentCallsRescheduleOnce: all of 100 calls rotate the card, and one
// reschedules it (S3).
func TestRotate_ConcurrentCallsRescheduleOnce(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 24*time.Hour)
	s.clock.add(5 * time.Minute) // past the guard of the registration
	token := s.token(allScopes...)
	var versions []int
	rescheduled := 0
	for _, a := range s.together(100, func(int) request {
		return request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: token}
	}) {
		a.want(t, 200)
		versions = append(versions, a.number("cvv_version"))
		scenario := 3
		if a.body["rescheduled"] == true {
			rescheduled++
			scenario = 0
		}
		if a.number("scenario") != scenario || a.text("cvv_next_rotation_date") != "2026-11-23T15:05:00Z" || a.body["success"] != true {
			t.Error(a.raw)
		}
	}
	slices.Sort(versions)
	var want []int
	for v := 2; v <= 101; v++ {
		want = append(want, v)
	}
	if diff := cmp.Diff(want, versions); diff != "" || rescheduled != 1 {
		t.Errorf("%d rescheduled; versions %s", rescheduled, diff)
	}
	if n := len(s.store.Written(0)); n != 101 { // one of the registration
		t.Errorf("%d events", n)
	}
}

// TestRotate_SameIdempotencyKeyRotatesOnce sends one key 20 times concurrently, then with
// other requests, and after it has expired.
func TestRotate_SameIdempotencyKeyRotatesOnce(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 24*time.Hour)
	s.card("b", 24*time.Hour)
	token := s.token(allScopes...)
	force := func(int) request {
		return request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: token, body: `{"service_code":"201"}`, header: []string{"Idempotency-Key", "k 1"}}
	}
	first, replayed := "", 0
	for i, a := range s.together(20, force) {
		a.want(t, 200)
		if i == 0 {
			first = a.raw
		}
		if a.raw != first || a.number("cvv_version") != 2 {
			t.Errorf("%s, not %s", a.raw, first)
		}
		if a.header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	if replayed != 19 {
		t.Errorf("%d answers were replayed, want 19", replayed)
	}
	other := force(0)
	other.body = `{"service_code":"202"}`
	s.do(other).want(t, 409, "idempotency-key-reused")
	other.body = ""
	s.do(other).want(t, 409, "idempotency-key-reused")
	other.path = "/v1/cards/b/cvv/rotate"
	s.do(other).want(t, 200) // a key belongs to one card
	again := force(0)
	again.token = "" // another token
	s.clock.add(24*time.Hour - 1)
	if a := s.do(again); a.raw != first {
		t.Error(a.raw)
	}
	s.clock.add(1) // the key expires after a day
	if a := s.do(again); a.number("cvv_version") != 3 {
		t.Error(a.raw)
	}
}

// TestOperations_RunConcurrently is for the race detector. Automatic rotations run
// meanwhile.
func TestOperations_RunConcurrently(t *testing.T) {
	s := newSite(t, setup{})
	for i := range 4 {
		s.card(fmt.Sprint("c", i), 24*time.Hour)
	}
	s.clock.add(24 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.engine.Run(ctx) }()
	token := s.token(allScopes...)
	requests := []request{
		{method: "POST", path: "/cvv/rotate"},
		{method: "GET", path: "/cvv"},
		{method: "GET", path: "/cvv/rotation"},
		{method: "PATCH", path: "/cvv/rotation", body: `{"cvv_rotation_interval_hours":5,"spread":true}`},
		{method: "POST", path: "/cvv/verify", body: `{"cvv":"123"}`},
		{method: "POST", path: "/cvv/unlock"},
		{method: "DELETE", path: "/cvv/rotation"},
		{method: "PUT", path: ""},
	}
	for _, a := range s.together(160, func(i int) request {
		r := requests[i%len(requests)]
		r.path, r.token = fmt.Sprint("/v1/cards/c", i%4, r.path), token
		return r
	}) {
		if a.status > 204 {
			t.Error(a.raw)
		}
	}
	cancel()
	<-done
}
