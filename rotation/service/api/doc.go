// Package api serves a rotation engine over HTTP: it rotates, schedules, reveals and
// verifies the CVVs of cards. GET /openapi.json describes every operation.
//
// [New] returns the handler, and [Server] a server with limits against slow clients. The
// handler can be mounted in another service, under a prefix with
// http.StripPrefix. It handles card data (PCI DSS) and therefore serves no metrics
// and no health checks: serve those on another address.
//
// # Authorization
//
// An [Authenticator] identifies the caller, by default by a bearer token (package
// auth). The caller needs a scope for each operation:
//
//	cvv:rotate      POST   /v1/cards/{cardId}/cvv/rotate
//	cvv:schedule    PATCH  /v1/cards/{cardId}/cvv/rotation, and DELETE
//	cvv:read        GET    /v1/cards/{cardId}/cvv/rotation
//	cvv:history     GET    /v1/cards/{cardId}/cvv/history
//	cvv:reveal      GET    /v1/cards/{cardId}/cvv
//	cvv:verify      POST   /v1/cards/{cardId}/cvv/verify
//	cvv:unlock      POST   /v1/cards/{cardId}/cvv/unlock
//	cards:register  PUT    /v1/cards/{cardId}
//	accounts:any    the operations above for the cards of every account
//
// Without accounts:any a caller can use only the cards of its own account. Other
// cards are answered with 403, cards that are not registered with 404.
//
// # Errors
//
// Errors are problem+json (RFC 9457) with the id that the endpoint gave the request. A
// 400 names the field. The reason of a 500 is only in the log.
//
// # Request ids and addresses
//
// The log and the audit records have the request's own id, as request_id, and the
// client's X-Request-Id, as client_request_id; the response repeats the latter. They
// also name the caller's address (see Options.TrustedProxies) and its verified client
// certificate.
//
// # Secrets
//
// Only GET /v1/cards/{cardId}/cvv returns a CVV. Logs and errors never contain
// tokens, bodies, idempotency keys, CVVs or PANs. Card ids are logged, unless they
// look like a PAN, in which case the request is refused.
//
// # Audit
//
// The package audit says which calls are recorded. The endpoint writes the record
// before it answers. It does not reveal a CVV if the record cannot be written.
package api
