package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/sim/must"
)

var now = time.Date(2026, 11, 22, 15, 0, 1, 0, time.UTC)

func ExampleRecord_Write() {
	var file bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&file, nil))
	record := audit.Record{
		Operation: audit.OperationRotate, Outcome: audit.OutcomeOf(nil), Card: "card-7c1e",
		Effect: engine.Effect{Account: "acme", At: now.Add(-time.Second), Before: 1, Version: 2, Changed: true},
		By:     "operator", Subject: "alice", From: "bastion-1",
	}
	if err := record.Write(context.Background(), log, now); err != nil {
		panic(err)
	}
	fmt.Print(file.String())
	// Output: {"time":"2026-11-22T15:00:01Z","level":"INFO","msg":"audit","operation":"rotate","outcome":"done","card":"card-7c1e","account":"acme","at":"2026-11-22T15:00:00Z","changed":true,"version_before":1,"version":2,"by":"operator","subject":"alice","from":"bastion-1"}
}

func TestWrite_OmitsUnknownFields(t *testing.T) {
	var file bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&file, nil))
	for _, r := range []audit.Record{
		{},
		{
			Operation: audit.OperationVerify, Outcome: audit.OutcomeDone, Card: "c", Detail: "d", By: "token", Subject: "s", SubjectAccount: "a", LoginUID: "1000", RunAs: "root", ClaimedSudoUser: "u", From: "f", Proxy: "p", RequestID: "r", ClientRequestID: "c", Suppressed: 3,
			Certificate: audit.Certificate{Name: "n", SHA256: "00"},
			Effect:      engine.Effect{Account: "acme", At: now, Before: 4, Version: 4, Interval: 90 * time.Minute, Changed: true, Locked: true, Throttled: true, Compromised: true, Replayed: true},
		},
		{Operation: audit.OperationReveal, Outcome: audit.OutcomeDone, Effect: engine.Effect{Before: 3, Version: 3}},
	} {
		must.Do(t, r.Write(t.Context(), log, now))
	}
	const head = `{"time":"2026-11-22T15:00:01Z","level":"INFO","msg":"audit"`
	want := head + "}\n" +
		head + `,"operation":"verify","outcome":"done","card":"c","account":"acme","at":"2026-11-22T15:00:01Z","changed":true,"version_before":4,"version":4,` +
		`"interval_hours":1.5,"locked":true,"throttled":true,"compromised":true,"replayed":true,"detail":"d","by":"token","subject":"s","subject_account":"a","login_uid":"1000","run_as":"root","claimed_sudo_user":"u","from":"f","proxy":"p","client_certificate":{"name":"n","sha256":"00"},"request_id":"r","client_request_id":"c","suppressed":3}` + "\n" +
		head + `,"operation":"reveal","outcome":"done","version_before":3,"version":3}` + "\n"
	if got := file.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Other systems and callers choose these texts, and may use a card number.
func TestWrite_MasksPANsInEachNameThatOthersChoose(t *testing.T) {
	const pan, masked = "4111111111111111", "411111xxxxxx1111"
	for name, r := range map[string]audit.Record{
		"account":           {Effect: engine.Effect{Account: pan}},
		"subject":           {Subject: pan},
		"subject_account":   {SubjectAccount: pan},
		"claimed_sudo_user": {ClaimedSudoUser: pan},
		"client_request_id": {ClientRequestID: pan},
		"name":              {Certificate: audit.Certificate{Name: pan}},
	} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			must.Do(t, r.Write(t.Context(), slog.New(slog.NewJSONHandler(&file, nil)), now))
			if got := file.String(); strings.Contains(got, pan) || !strings.Contains(got, `"`+name+`":"`+masked+`"`) {
				t.Error(got)
			}
		})
	}
}

// full is a handler on a full disk.
type full struct{ slog.Handler }

var errFull = errors.New("the disk is full")

func (full) Handle(context.Context, slog.Record) error { return errFull }

func TestWrite_ReturnsTheHandlersErrorAtAnyLevel(t *testing.T) {
	log := slog.New(full{slog.NewJSONHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: slog.LevelError})})
	if err := (audit.Record{}).Write(t.Context(), log, now); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

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
		{&store.FingerprintError{Card: "other"}, "registered-otherwise"},
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
