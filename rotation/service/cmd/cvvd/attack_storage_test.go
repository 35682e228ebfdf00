package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// TestAttack_Storage changes rows of the database as a program that can write to it
// but has no key, together with the account mallory, and tries to read the victim's CVV
// through mallory's own cards and rights.
func TestAttack_Storage(t *testing.T) {
	t.Parallel()
	ring := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize))))(t)
	pair := must.Get(hex.DecodeString("0123456789ABCDEFFEDCBA9876543210"))(t)
	cvk := must.Get(cvvgen.NewInsecureTestCVK(pair))(t)
	local := must.Get(cvvgen.NewLocal(cvk, cvvgen.ExpiryOrderYYMM, 5))(t)
	attempts := 0
	for kind, generator := range map[string]engine.Generator{
		"random":  engine.Random(must.Get(cvvgen.NewRandom(4))(t), ring),
		"derived": engine.Derived(local, ring, engine.DerivedOptions{AnyPAN: true}),
	} {
		t.Run(kind, func(t *testing.T) {
			v := newVault(t, generator, kind == "derived")
			for _, change := range append(rowChanges(), randomChanges(80)...) {
				t.Run(change, func(t *testing.T) { v.attack(t, change) })
				attempts++
			}
		})
	}
	if attempts < 200 {
		t.Errorf("%d attempts, want at least 200", attempts)
	}
}

// vault is a database with a card of the victim's and one of mallory's.
type vault struct {
	original, path string
	clock          *clock.Mock
	generator      engine.Generator
	current        string // the victim's CVV
}

func newVault(t *testing.T, generator engine.Generator, derived bool) *vault {
	t.Helper()
	ctx := context.Background()
	v := &vault{path: filepath.Join(t.TempDir(), "cards.db"), clock: clock.NewMock(), generator: generator}
	v.clock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	v.open(t, func(e *engine.Engine) {
		for account, pan := range map[string]string{"victim": victimPAN, "mallory": "5123456789012346"} {
			request := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
			if derived {
				request.Particulars = cvvgen.Card{PAN: must.Get(cvvgen.ParsePAN(pan))(t), Expiry: must.Get(cvvgen.ParseExpiry(cvvgen.ExpiryOrderYYMM, "8701"))(t)}
			}
			ref := engine.Ref{Card: account, Account: account}
			_, _, err := e.Register(ctx, ref, request)
			must.Do(t, err)
			for _, force := range []engine.ForceRequest{{}, {Compromised: true}, {ServiceCode: servicecode.MustParse("201")}} {
				must.Get(e.Force(ctx, ref, force))(t)
				if account == "victim" {
					v.current = must.Get(e.Reveal(ctx, ref))(t).CVV.Reveal()
				}
			}
		}
		for reveal := func(card string) string {
			return must.Get(e.Reveal(ctx, engine.AnyAccount(card)))(t).CVV.Reveal()
		}; reveal("mallory") == v.current; { // by chance
			must.Get(e.Force(ctx, engine.AnyAccount("mallory"), engine.ForceRequest{}))(t)
		}
	})
	v.original = string(must.Get(os.ReadFile(v.path))(t))
	return v
}

// open runs do with an engine on the database, which is closed afterwards.
func (v *vault) open(t *testing.T, do func(*engine.Engine)) {
	t.Helper()
	s := must.Get(sqlite.Open(context.Background(), v.path, sqlite.Options{Clock: v.clock}))(t)
	do(must.Get(engine.New(s, v.generator, engine.Options{Grace: time.Hour}))(t))
	must.Do(t, s.Close())
}

// attack applies the change, a statement, to the original database, and reads and
// verifies with the rights of mallory. The victim itself must read its CVV or an error,
// never another value.
func (v *vault) attack(t *testing.T, change string) {
	t.Helper()
	ctx := context.Background()
	must.Do(t, os.WriteFile(v.path, []byte(v.original), 0o600))
	db := must.Get(sql.Open("sqlite", v.path))(t)
	_, err := db.Exec(change)
	must.Do(t, db.Close())
	if err != nil {
		return // the table refuses it
	}
	presented := must.Get(cvvgen.ParseCVV(v.current))(t)
	v.open(t, func(e *engine.Engine) {
		for _, card := range []string{"victim", "mallory", "new"} {
			ref := engine.Ref{Card: card, Account: "mallory"}
			if r, err := e.Reveal(ctx, ref); err == nil && r.CVV.Reveal() == v.current {
				t.Errorf("mallory reveals the victim's CVV through the card %s", card)
			}
			if card != "victim" {
				continue
			}
			if r, err := e.Verify(ctx, ref, presented); err == nil && r.Verdict.Good() {
				t.Errorf("mallory has the victim's CVV confirmed")
			}
		}
		r, err := e.Reveal(ctx, engine.Ref{Card: "victim", Account: "victim"})
		if err == nil && r.CVV.Reveal() != v.current {
			t.Errorf("the victim reads a CVV that is not its own, without an error")
		}
	})
}

// rowChanges are the changes that an attacker who knows the schema would try. An older
// row of the same card, and another service code, are not among them: sealing does not
// detect those (docs/security/threat-model.md).
func rowChanges() []string {
	changes := []string{
		`UPDATE card SET account = 'mallory' WHERE id = 'victim'`,
		`UPDATE card SET account = CASE id WHEN 'victim' THEN 'mallory' ELSE 'victim' END`,
		`DELETE FROM card WHERE id = 'mallory'; UPDATE card SET id = 'mallory', account = 'mallory' WHERE id = 'victim'`,
		`UPDATE card SET id = 'new', account = 'mallory' WHERE id = 'victim'`,
		`UPDATE card SET id = 'new' WHERE id = 'mallory'; UPDATE card SET id = 'mallory', account = 'mallory' WHERE id = 'victim'; UPDATE card SET id = 'victim', account = 'victim' WHERE id = 'new'`,
		`UPDATE card SET version = version + 1`,
		`UPDATE card SET version = version - 1`,
		`UPDATE card SET version = 1`,
		`UPDATE card SET version = 9223372036854775807`,
		`UPDATE card SET sealed = previous_sealed`,
		`UPDATE card SET identity = sealed`,
		`UPDATE card SET sealed = identity`,
		`UPDATE card SET sealed = compromised`,
		`UPDATE card SET previous_sealed = sealed`,
		`UPDATE card SET account = ''`,
		`UPDATE card SET account = 'mallory' || char(0)`,
		`UPDATE card SET account = 'victimmallory', id = 'new' WHERE id = 'victim'`,
	}
	for _, column := range []string{"sealed", "previous_sealed", "identity", "compromised", "state"} {
		if column != "state" {
			changes = append(changes, fmt.Sprintf(`UPDATE card SET %s = (SELECT %[1]s FROM card WHERE id = 'victim') WHERE id = 'mallory'`, column))
			changes = append(changes, fmt.Sprintf(`UPDATE card SET (%s, version) = (SELECT %[1]s, version FROM card WHERE id = 'victim') WHERE id = 'mallory'`, column))
		}
		for _, value := range []string{"NULL", "x''", "zeroblob(64)", "substr(%s, 1, 4)", "substr(%s, 1, length(%[1]s) - 1)", "substr(%s, 5)", "CAST(%s || x'00' AS BLOB)"} {
			if bytes.ContainsRune([]byte(value), '%') {
				value = fmt.Sprintf(value, column)
			}
			changes = append(changes, fmt.Sprintf(`UPDATE card SET %s = %s`, column, value))
		}
	}
	return changes
}

// randomChanges set one byte of a sealed value.
func randomChanges(n int) (changes []string) {
	random := mathrand.New(mathrand.NewPCG(*attackSeed, 2))
	for range n {
		column := []string{"sealed", "identity", "compromised"}[random.IntN(3)]
		at := random.IntN(60) + 1
		changes = append(changes, fmt.Sprintf(`UPDATE card SET %s = CAST(substr(%[1]s, 1, %d) || x'%02x' || substr(%[1]s, %d) AS BLOB)`, column, at-1, random.IntN(256), at+1))
	}
	return changes
}
