package api

// The scopes that operations require.
const (
	ScopeRotate     = "cvv:rotate"     // force a rotation
	ScopeSchedule   = "cvv:schedule"   // set or delete the interval
	ScopeRead       = "cvv:read"       // read the schedule
	ScopeReveal     = "cvv:reveal"     // read the CVV
	ScopeVerify     = "cvv:verify"     // verify a CVV that was presented
	ScopeUnlock     = "cvv:unlock"     // unlock a card after too many wrong CVVs
	ScopeRegister   = "cards:register" // register a card
	ScopeAnyAccount = "accounts:any"   // use the other scopes for cards of every account
)
