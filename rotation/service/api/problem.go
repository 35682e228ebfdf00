package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/auth"
)

// problem is an error as callers see it (RFC 9457).
type problem struct {
	kind      kind
	detail    string
	fields    []fieldError
	challenge string        // WWW-Authenticate
	allow     string        // Allow
	retry     time.Duration // Retry-After
}

func (p *problem) Error() string { return p.kind.title }

// kind is a type of problem. Its name is the end of the type's URI.
type kind struct {
	status int
	name   string
	title  string
}

const problemURI = "urn:cvvrotation:problem:"

// The types of problems.
var (
	kindInvalid      = kind{400, "invalid-request", "The request is not valid"}
	kindToken        = kind{401, "unauthenticated", "The bearer token is missing or not accepted"}
	kindScope        = kind{403, "scope-missing", "The token lacks the scope that the operation needs"}
	kindForbidden    = kind{403, "other-account", "The card belongs to another account"}
	kindNoCard       = kind{404, "no-such-card", "There is no such card"}
	kindNoRoute      = kind{404, "no-such-resource", "There is nothing at this path"}
	kindMethod       = kind{405, "method-not-allowed", "The path does not take this method"}
	kindKeyReused    = kind{409, "idempotency-key-reused", "The idempotency key was used for another request"}
	kindRegistered   = kind{409, "registered-otherwise", "The card is registered with other particulars"}
	kindTooLarge     = kind{413, "body-too-large", "The body is too large"}
	kindContentType  = kind{415, "unsupported-content-type", "The body is not JSON"}
	kindTooMany      = kind{429, "too-many-requests", "There are too many requests"}
	kindInternal     = kind{500, "internal-error", "Something went wrong on our side"}
	kindUnavailable  = kind{503, "unavailable", "The service can't answer at the moment"}
	unavailableRetry = time.Second
)

// fieldError is a field of the request that is at fault.
type fieldError struct {
	Field   string `json:"field"`             // as it is spelled in the request
	In      string `json:"in"`                // path, query, header or body
	Pointer string `json:"pointer,omitempty"` // JSON Pointer of a body's member, as a URI fragment
	Detail  string `json:"detail"`            // what would do; never the value
}

func bodyError(name, detail string) fieldError {
	if name == unnamed {
		return fieldError{Field: name, In: "body", Pointer: "#", Detail: detail}
	}
	return fieldError{Field: name, In: "body", Pointer: "#/" + name, Detail: detail}
}

// invalid returns a 400 for the fields.
func invalid(fields ...fieldError) *problem {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Field + ": " + f.Detail)
	}
	return &problem{kind: kindInvalid, detail: b.String(), fields: fields}
}

// engineFields maps the engine's and the rules' names of fields to those of a
// request.
var engineFields = map[string]fieldError{
	"card":            {Field: "cardId", In: "path"},
	"account":         bodyError("account_id", ""),
	"service_code":    bodyError("service_code", ""),
	"idempotency_key": {Field: "Idempotency-Key", In: "header"},
	"pan":             bodyError("pan", ""),
	"expiry":          bodyError("expiry", ""),
	"cvv":             bodyError("cvv", ""),
	"slots":           {Field: "slots", In: "query"},
	"interval":        bodyError("cvv_rotation_interval_hours", ""),
	"first":           bodyError("cvv_first_rotation_date", ""),
}

// problemOf returns what a caller is told of an error. What is none of the
// caller's business is an internal error.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*engine.FieldError](err); ok {
		return fieldProblem(e.Field, e.Detail)
	}
	if e, ok := errors.AsType[*rotation.EventError](err); ok {
		detail := e.Err.Error()
		if e.Detail != "" {
			detail += ": " + e.Detail
		}
		return fieldProblem(e.Field, detail)
	}
	switch {
	case errors.Is(err, auth.ErrToken):
		return &problem{kind: kindToken, challenge: auth.Challenge(err)}
	case errors.Is(err, store.ErrNotFound):
		return &problem{kind: kindNoCard}
	case errors.Is(err, engine.ErrForbidden):
		return &problem{kind: kindForbidden}
	case errors.Is(err, engine.ErrKeyReused):
		return &problem{kind: kindKeyReused, detail: "use a new key for each request, and the same one to try a request again"}
	case errors.Is(err, engine.ErrRegistered):
		return &problem{kind: kindRegistered}
	case errors.Is(err, auth.ErrNotReady), errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{
			kind: kindUnavailable, retry: unavailableRetry,
			detail: "it may or may not have been done; try again, with the same Idempotency-Key if there was one",
		}
	}
	return &problem{kind: kindInternal}
}

// fieldProblem returns a 400 for a field that the engine has refused; a field
// that no caller gives is an internal error.
func fieldProblem(field, detail string) *problem {
	f, ok := engineFields[field]
	if !ok {
		return &problem{kind: kindInternal}
	}
	f.Detail = detail
	return invalid(f)
}

// problemBody is a problem on the wire.
type problemBody struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	RequestID string       `json:"request_id"`
	Errors    []fieldError `json:"errors,omitempty"`
}

// answer returns the problem as an answer to the request with the id.
func (p *problem) answer(requestID string) *answer {
	a := &answer{
		status: p.kind.status, contentType: "application/problem+json",
		body: problemBody{
			Type: problemURI + p.kind.name, Title: p.kind.title, Status: p.kind.status,
			Detail: p.detail, RequestID: requestID, Errors: p.fields,
		},
		header: http.Header{},
	}
	if p.challenge != "" {
		a.header.Set("WWW-Authenticate", p.challenge)
	}
	if p.allow != "" {
		a.header.Set("Allow", p.allow)
	}
	if p.retry > 0 {
		a.header.Set("Retry-After", seconds(p.retry))
	}
	return a
}
