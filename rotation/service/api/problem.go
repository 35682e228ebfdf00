package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/auth"
)

// problem is an error that the caller may see (RFC 9457).
type problem struct {
	name      audit.Outcome
	detail    string
	fields    []fieldError
	challenge string        // WWW-Authenticate
	allow     string        // Allow
	retry     time.Duration // Retry-After
}

func (p *problem) Error() string { return problemTypes[p.name].title }

// problemURI and the problem's name are the URI of its type.
const problemURI = "urn:cvvrotation:problem:"

const unavailableRetry = time.Second

type problemType struct {
	status int
	title  string
}

var problemTypes = map[audit.Outcome]problemType{
	audit.OutcomeInvalidRequest:       {400, "The request is invalid"},
	audit.OutcomeUnauthenticated:      {401, "The credentials are missing or invalid"},
	audit.OutcomeScopeMissing:         {403, "The caller lacks a required scope"},
	audit.OutcomeOtherAccount:         {403, "The card belongs to another account"},
	audit.OutcomeNoSuchCard:           {404, "The card does not exist"},
	audit.OutcomeNoSuchResource:       {404, "The resource does not exist"},
	audit.OutcomeMethodNotAllowed:     {405, "The resource does not support this method"},
	audit.OutcomeIdempotencyKeyReused: {409, "The idempotency key was used for a different request"},
	audit.OutcomeRegisteredOtherwise:  {409, "The card is registered with different data"},
	audit.OutcomeBodyTooLarge:         {413, "The body is too large"},
	audit.OutcomeUnsupportedType:      {415, "The body is not JSON"},
	audit.OutcomeTooManyRequests:      {429, "Too many requests"},
	audit.OutcomeInternalError:        {500, "Internal error"},
	audit.OutcomeUnavailable:          {503, "The service is temporarily unavailable"},
}

// fieldError reports an invalid field of the request.
type fieldError struct {
	Field   string `json:"field"`             // as spelled in the request
	In      string `json:"in"`                // path, query, header or body
	Pointer string `json:"pointer,omitempty"` // JSON Pointer to a member of the body, as a URI fragment
	Detail  string `json:"detail"`            // what is accepted; never the value
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
	return &problem{name: audit.OutcomeInvalidRequest, detail: b.String(), fields: fields}
}

// engineFields maps the field names of the engine and the rules to those of a
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

// problemOf returns the problem for an error. An error that the caller cannot act on
// is an internal error.
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
	p := &problem{name: audit.OutcomeOf(err)}
	switch {
	case errors.Is(err, auth.ErrUnauthenticated):
		p.name = audit.OutcomeUnauthenticated
		if e, ok := errors.AsType[challenger](err); ok {
			p.challenge = e.Challenge()
		}
	case errors.Is(err, auth.ErrNotReady), p.name == audit.OutcomeUnavailable:
		p.name, p.retry = audit.OutcomeUnavailable, unavailableRetry
		p.detail = "the operation may have been carried out; retry with the same Idempotency-Key, if there was one"
	case p.name == audit.OutcomeIdempotencyKeyReused:
		p.detail = "use a new key for each request, and the same key only to retry that request"
	case errors.Is(err, store.ErrFingerprint):
		p.detail = store.ErrFingerprint.Error()
	}
	return p
}

// challenger is an error of an Authenticator with a WWW-Authenticate header.
type challenger interface {
	error
	Challenge() string
}

// fieldProblem returns a 400 for a field that the engine refused. A field that is not
// part of a request is an internal error.
func fieldProblem(field, detail string) *problem {
	f, ok := engineFields[field]
	if !ok {
		return &problem{name: audit.OutcomeInternalError}
	}
	f.Detail = detail
	return invalid(f)
}

// problemBody is a problem in JSON.
type problemBody struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	RequestID string       `json:"request_id"`
	Errors    []fieldError `json:"errors,omitempty"`
}

// response returns the problem as the response to the request with the id.
func (p *problem) response(requestID string) *response {
	t := problemTypes[p.name]
	r := &response{
		status: t.status, contentType: "application/problem+json",
		body: problemBody{
			Type: problemURI + string(p.name), Title: t.title, Status: t.status,
			Detail: p.detail, RequestID: requestID, Errors: p.fields,
		},
		header: http.Header{},
	}
	if p.challenge != "" {
		r.header.Set("WWW-Authenticate", p.challenge)
	}
	if p.allow != "" {
		r.header.Set("Allow", p.allow)
	}
	if p.retry > 0 {
		r.header.Set("Retry-After", seconds(p.retry))
	}
	return r
}

// problem returns the name of the problem that the response reports, or "".
func (r *response) problem() audit.Outcome {
	if p, ok := r.body.(problemBody); ok {
		return audit.Outcome(p.Type[len(problemURI):])
	}
	return ""
}
