package api

import (
	"fmt"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/internal/cardid"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/auth"
)

// The scopes that operations require.
const (
	ScopeRotate     = "cvv:rotate"     // force a rotation
	ScopeSchedule   = "cvv:schedule"   // set or delete the interval, also by registering a card again
	ScopeRead       = "cvv:read"       // read the schedule, also by registering a card again
	ScopeHistory    = "cvv:history"    // read the history
	ScopeReveal     = "cvv:reveal"     // read the CVV
	ScopeVerify     = "cvv:verify"     // verify a CVV that was presented
	ScopeUnlock     = "cvv:unlock"     // unlock a card after too many wrong CVVs
	ScopeRegister   = "cards:register" // register a card
	ScopeAnyAccount = "accounts:any"   // use the other scopes for cards of every account
)

// authorize authenticates the caller and checks the rate limits, the scope and the
// card's id. The engine checks that the card belongs to the caller's account.
func (h *handler) authorize(c *call) error {
	id := c.r.PathValue("cardId")
	wrong := cardid.Check(id)
	if wrong == nil {
		c.card = id // from here on it may be logged
	}
	caller, err := h.auth.AuthenticateRequest(c.r)
	if err != nil {
		return err
	}
	if err := caller.CheckSubject(); err != nil {
		return fmt.Errorf("api: the authenticator returned an unusable caller: %w", err)
	}
	c.caller = caller
	if wait := h.perCaller.take(c.caller.Subject, h.clock.Now()); wait > 0 {
		return &problem{name: audit.OutcomeTooManyRequests, retry: wait, detail: "the caller has exceeded its rate limit"}
	}
	if !c.caller.Has(c.op.scope) {
		return c.scopeMissing(c.op.scope, "the operation requires the scope "+c.op.scope)
	}
	if !c.anyAccount() && cardid.CheckName(c.caller.Account) != nil {
		return c.scopeMissing(ScopeAnyAccount, "the caller has no account and lacks the scope "+ScopeAnyAccount)
	}
	if wrong != nil {
		return invalid(fieldError{Field: "cardId", In: "path", Detail: wrong.Error()})
	}
	if wait := h.perCard.take(c.cardKey(), h.clock.Now()); wait > 0 {
		return &problem{name: audit.OutcomeTooManyRequests, retry: wait, detail: "the requests for this card have exceeded their rate limit"}
	}
	return nil
}

// scopeMissing returns a 403. Only a request with a bearer token gets a challenge:
// a new token would not help a caller that authenticates otherwise.
func (c *call) scopeMissing(scope, detail string) *problem {
	p := &problem{name: audit.OutcomeScopeMissing, detail: detail}
	if _, err := auth.BearerToken(c.r); err == nil {
		p.challenge = auth.ScopeChallenge(scope)
	}
	return p
}

// cardKey returns the key of the rate limit per card. It is per account too, so that
// one account cannot use up another's requests. All callers with the scope
// accounts:any share one limit per card, whatever their account.
func (c *call) cardKey() string {
	if c.anyAccount() {
		return "/" + c.card // no account is empty
	}
	return c.caller.Account + "/" + c.card
}

func (c *call) anyAccount() bool { return c.caller.Has(ScopeAnyAccount) }

// ref returns the call's card and the account that it must belong to.
func (c *call) ref() engine.Ref {
	if c.anyAccount() {
		return engine.AnyAccount(c.card)
	}
	return engine.Ref{Card: c.card, Account: c.caller.Account}
}
