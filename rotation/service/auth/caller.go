package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSubject is the maximum length of a subject in bytes, because it is logged.
const maxSubject = 255

// Caller identifies who sent a request.
type Caller struct {
	// Subject names the caller in logs, rate limits and audit records: the subject
	// claim of a token. It is never empty; see CheckSubject.
	Subject string
	// Account is the account whose cards the caller may use: the account claim of
	// a token. Empty if the caller belongs to no account.
	Account string
	// Scopes are the operations granted. They must not be modified.
	Scopes []string
	// By says, for audit records, what identified the caller, such as
	// "certificate". Defaults to "token".
	By string
}

// Has reports whether the caller was granted the scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// CheckSubject returns an error unless the subject is fit for logs and rate limits:
// 1 to 255 bytes of printable characters in UTF-8. The error does not contain it.
func (c Caller) CheckSubject() error {
	if len(c.Subject) == 0 || len(c.Subject) > maxSubject {
		return fmt.Errorf("auth: the subject has %d bytes; 1 to %d are accepted", len(c.Subject), maxSubject)
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(c.Subject) || strings.ContainsFunc(c.Subject, unprintable) {
		return errors.New("auth: the subject contains characters that are not printable")
	}
	return nil
}
