// Package audit defines the records of the audit log: who did what to which card,
// with which outcome. The HTTP endpoint and the operators' commands write the same
// records, so one log answers for both.
//
// # What is recorded
//
// The endpoint writes a record for each call that changes a card, reveals a CVV, or is
// refused either, before it answers. A CVV is not revealed if its record cannot be
// written. A verification is recorded if it locks the card, is throttled or is refused. An
// operator's command that changes a card, the schema or the stored events writes one
// record when it ends.
//
// # What is not recorded
//
// Refused authentications (401) are recorded up to a rate, for each address and in
// total, and rate-limited requests (429) not at all, so callers cannot flood the log. A
// later record counts the refused authentications that have none. Calls that only read a
// schedule are not recorded. Automatic rotations have no caller: the events of type
// card.cvv.changed.v1 report them.
//
// # Files
//
// A [File] gives each record a sequence number and a hash that covers the previous one.
// A [Verifier] finds what was changed afterwards.
//
// # Secrets
//
// A record never contains a CVV, a PAN, a token or an idempotency key.
package audit
