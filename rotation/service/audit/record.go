package audit

import (
	"context"
	"log/slog"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/internal/panmask"
)

// Operation names what a caller or operator asked for.
type Operation string

// The operations on one card, and those that only operators have.
const (
	OperationRegister    Operation = "register"
	OperationRotate      Operation = "rotate" // a forced call
	OperationSetInterval Operation = "set_interval"
	OperationDisable     Operation = "disable" // turn automatic rotation off
	OperationReveal      Operation = "reveal"
	OperationVerify      Operation = "verify"
	OperationUnlock      Operation = "unlock"

	OperationMigrate      Operation = "migrate"       // update the database schema
	OperationReseal       Operation = "reseal"        // re-encrypt stored secrets
	OperationReplayEvents Operation = "replay_events" // requeue events

	OperationContinueLog Operation = "continue_log" // the audit file is a new one: see File
	OperationResumeLog   Operation = "resume_log"   // records can be written again; Missing is how many could not
)

// Record is one record of the audit log. Write leaves out fields with their zero
// value, which means unknown, and masks digits that could be a PAN in what others choose:
// accounts, subjects, the names of certificates and of sudo's user, and request ids.
type Record struct {
	Operation Operation
	Outcome   Outcome
	// Card is the card's id. It must be empty if the id could be a PAN: see
	// engine.CheckCard.
	Card string
	// Effect is the state that the operation found and what it changed.
	Effect engine.Effect
	// Detail is a sentence for people.
	Detail string
	// By says what identified the subject: "token" or "operator", or what an
	// embedder's authenticator reports.
	By string
	// Subject is who asked: the claim sub of a token, or the operating system user who
	// logged in.
	Subject string
	// SubjectAccount is the subject's account. The card's account is in Effect.
	SubjectAccount string
	// LoginUID is the operator's login uid, in decimal. Empty if the kernel does not
	// know it; Subject is then the user that the command ran as.
	LoginUID string
	// RunAs is the user that an operator's command ran as. Empty if that is Subject.
	RunAs string
	// ClaimedSudoUser is the user who called sudo, as the environment of an operator's
	// command says.
	ClaimedSudoUser string
	// From is the caller's IP address, or the operator's host.
	From string
	// Proxy is the IP address of the trusted proxy that named From.
	Proxy string
	// Certificate is the caller's client certificate.
	Certificate Certificate
	// RequestID is the id that the endpoint gave the request.
	RequestID string
	// ClientRequestID is the id that the caller gave the request.
	ClientRequestID string
	// Suppressed is how many refused authentications, from any address, were not
	// recorded since the previous record of one.
	Suppressed int
	// Missing is how many records could not be written before one of
	// OperationResumeLog.
	Missing int
	// Previous is the last record of the file that the audit file continues.
	Previous Position
}

// Write passes the record to the handler of the log, at any level, and returns the
// handler's error. The attribute time is now; Effect.At is the time of the change.
func (r Record) Write(ctx context.Context, log *slog.Logger, now time.Time) error {
	record := slog.NewRecord(now, slog.LevelInfo, "audit", 0)
	add := func(known bool, attr slog.Attr) {
		if known {
			record.AddAttrs(attr)
		}
	}
	text := func(key, value string) { add(value != "", slog.String(key, value)) }
	e := r.Effect
	text("operation", string(r.Operation))
	text("outcome", string(r.Outcome))
	text("card", r.Card)
	text("account", panmask.Mask(e.Account))
	if !e.At.IsZero() {
		text("at", e.At.Format(time.RFC3339Nano)) // equal to the event's time, digit by digit
	}
	add(e.Version > 0 && !e.At.IsZero(), slog.Bool("changed", e.Changed))
	add(e.Before > 0, slog.Int64("version_before", e.Before))
	add(e.Version > 0, slog.Int64("version", e.Version))
	add(e.Interval > 0, slog.Float64("interval_hours", e.Interval.Hours()))
	add(e.Locked, slog.Bool("locked", true))
	add(e.Throttled, slog.Bool("throttled", true))
	add(e.Compromised, slog.Bool("compromised", true))
	add(e.Replayed, slog.Bool("replayed", true))
	text("detail", r.Detail)
	text("by", r.By)
	text("subject", panmask.Mask(r.Subject))
	text("subject_account", panmask.Mask(r.SubjectAccount))
	text("login_uid", r.LoginUID)
	text("run_as", r.RunAs)
	text("claimed_sudo_user", panmask.Mask(r.ClaimedSudoUser))
	text("from", r.From)
	text("proxy", r.Proxy)
	add(true, slog.Any("client_certificate", r.Certificate)) // an empty group is left out
	text("request_id", r.RequestID)
	text("client_request_id", panmask.Mask(r.ClientRequestID))
	add(r.Suppressed > 0, slog.Int("suppressed", r.Suppressed))
	add(r.Missing > 0, slog.Int("missing", r.Missing))
	add(r.Previous.Seq > 0, slog.Int64("previous_seq", r.Previous.Seq))
	text("previous_hash", r.Previous.Hash)
	return log.Handler().Handle(ctx, record)
}
