// Package api puts HTTP in front of an engine: the endpoint that rotates a
// card's CVV, and its relatives. GET /openapi.json describes all of it.
//
//	h, err := api.New(engine, verifier, api.Options{Logger: log})
//	server := api.Server(":8443", h)
//
// The handler can be mounted in another service, under a prefix with
// http.StripPrefix. It is the PCI side, and has neither metrics nor health: those
// belong on another address.
//
// # Who may do what
//
// Callers send a bearer token (package auth) with a scope for each operation:
//
//	cvv:rotate      POST   /v1/cards/{cardId}/cvv/rotate
//	cvv:schedule    PATCH  /v1/cards/{cardId}/cvv/rotation, and DELETE
//	cvv:read        GET    /v1/cards/{cardId}/cvv/rotation
//	cvv:reveal      GET    /v1/cards/{cardId}/cvv
//	cvv:verify      POST   /v1/cards/{cardId}/cvv/verify
//	cvv:unlock      POST   /v1/cards/{cardId}/cvv/unlock
//	cards:register  PUT    /v1/cards/{cardId}
//	accounts:any    the above, for the cards of all accounts
//
// Without accounts:any a caller reaches the cards of the account in its token
// and no others: 403. A card that is not registered is 404.
//
// # Errors
//
// They are problem+json (RFC 9457) with a request id, which is also in the header
// X-Request-Id and in the log. A 400 names the field. A 500 says nothing to the
// caller; the log has the reason.
//
// # Secrets
//
// A CVV leaves by GET /v1/cards/{cardId}/cvv alone. Tokens, bodies, idempotency
// keys, CVVs and PANs are in no log and no error. Card ids are in logs unless they
// look like a PAN, which is refused.
//
// # Audit
//
// Who changed a card, revealed a CVV or tried to is in the audit log before it is
// answered: see [Record]. What can't be recorded is not revealed. A verdict is
// there when it locks the card. The engine's own rotations are nobody's, and are
// events alone.
package api
