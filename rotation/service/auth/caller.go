package auth

import "slices"

// Caller identifies who sent a request.
type Caller struct {
	// Subject names the caller in logs, rate limits and audit records: the claim
	// sub of a token. It is never empty.
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
