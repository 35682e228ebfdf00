package main

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

var attackSeed = flag.Uint64("attack-seed", 1, "seed of the attacks that are drawn at random")

// The victim's card, of the account acme.
const (
	victimCard = "victim-card"
	victimPAN  = "4123456789012345"
)

// attacked is a daemon with the victim's card and the attackers' means.
type attacked struct {
	*process
	env      []string
	keys     map[string]jwttest.Key // by algorithm
	cvv      string                 // the victim's
	attempts int
}

// newAttacked starts a daemon with derived CVVs and registers the victim's card. Rates
// are not limited, so that a limit hides no hole.
func newAttacked(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{keys: map[string]jwttest.Key{}}
	var public []map[string]string
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		k := jwttest.New(t, "key-"+algorithm, algorithm)
		a.keys[algorithm], public = k, append(public, k.JWK())
	}
	a.env = settings(t, "CVVD_CVV_KIND=derived", "CVVD_CVV_CVK=0123456789ABCDEFFEDCBA9876543210", "CVVD_CVV_EXPIRY_ORDER=YYMM",
		"CVVD_AUTH_ALGORITHMS=RS256,ES256,EdDSA", "CVVD_LIMITS_CARD_PER_SECOND=0", "CVVD_LIMITS_CALLER_PER_SECOND=0",
		"CVVD_ENGINE_MAX_TRIES=1000", "CVVD_CVV_PREFIXES=acme=41,mallory=51")
	file := variable(t, a.env, "CVVD_AUTH_JWKS_FILE")
	must.Do(t, os.WriteFile(file, jwttest.JWKS(public...), 0o600))
	a.process = start(t, a.env, "serve").serving()
	if status, answer := a.send("PUT", a.pci+"/v1/cards/"+victimCard, a.sign(t, nil),
		`{"pan":"`+victimPAN+`","expiry":"2087-01","cvv_rotation_interval_hours":24,"service_code":"101"}`); status != 201 {
		t.Fatal(status, answer)
	}
	a.cvv = a.reveal(t)
	must.Equal(t, a.cvv, "561") // a published vector: the card's CVV is really derived
	return a
}

// variable returns the value of an environment variable.
func variable(t *testing.T, env []string, name string) string {
	t.Helper()
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	t.Fatal("no variable ", name)
	return ""
}

const everyScope = "cards:register cvv:rotate cvv:schedule cvv:read cvv:reveal cvv:verify cvv:unlock cvv:history"

// claims returns the victim's claims, with changes; nil removes a claim.
func (a *attacked) claims(change jwt.MapClaims) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{"iss": issuer, "aud": "cvv", "sub": "svc", "account_id": "acme", "scope": everyScope,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign returns a token with the victim's claims, with changes.
func (a *attacked) sign(t *testing.T, change jwt.MapClaims, header ...string) string {
	t.Helper()
	return a.keys["EdDSA"].Sign(t, a.claims(change), header...)
}

// reveal returns the victim's CVV as the victim reads it.
func (a *attacked) reveal(t *testing.T) string {
	t.Helper()
	status, answer := a.send("GET", a.pci+"/v1/cards/"+victimCard+"/cvv", a.sign(t, nil), "")
	var revealed struct{ CVV string }
	if err := json.Unmarshal([]byte(answer), &revealed); err != nil || status != 200 {
		t.Fatalf("the victim cannot reveal its CVV: %d %s", status, answer)
	}
	return revealed.CVV
}

// state returns the victim's card as the victim sees it.
func (a *attacked) state(t *testing.T) string {
	t.Helper()
	status, answer := a.send("GET", a.pci+"/v1/cards/"+victimCard+"/cvv/rotation", a.sign(t, nil), "")
	var m map[string]any
	if err := json.Unmarshal([]byte(answer), &m); err != nil || status != 200 {
		t.Fatalf("the victim cannot read its card: %d %s", status, answer)
	}
	delete(m, "at")
	delete(m, "forced_call") // it depends on the time
	return string(must.Get(json.Marshal(m))(t)) + a.reveal(t)
}

// failed checks that an attempt gained nothing: it was refused, the answer holds no
// secret, and the victim's card is as it was.
func (a *attacked) failed(t *testing.T, before string, status int, answer string) {
	t.Helper()
	a.attempts++
	if status < 400 {
		t.Errorf("accepted: %d %s", status, answer)
	}
	for _, secret := range []string{`"` + a.cvv + `"`, victimPAN} {
		if strings.Contains(answer, secret) {
			t.Errorf("the answer contains a secret: %d %s", status, answer)
		}
	}
	if after := a.state(t); after != before {
		t.Errorf("the victim's card changed from %s to %s", before, after)
	}
}

// finish checks that the daemon lives, that its log holds no secret, and that enough
// was tried.
func (a *attacked) finish(t *testing.T, atLeast int) {
	t.Helper()
	if status, answer := a.get(a.ops + "/readyz"); status != 200 {
		t.Errorf("the daemon is not ready after the attacks: %d %s", status, answer)
	}
	log := a.log.String()
	for _, secret := range []string{victimPAN, `"` + a.cvv + `"`, "goroutine "} {
		if strings.Contains(log, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
	if a.attempts < atLeast {
		t.Errorf("%d attempts, want at least %d", a.attempts, atLeast)
	}
	t.Logf("%d attempts", a.attempts)
}
