package sqlite

import (
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// TestOpen_UpgradesADatabaseWithCards: a card and the answers under its keys come through,
// and the keys are no longer in the file.
func TestOpen_UpgradesADatabaseWithCards(t *testing.T) {
	path := tempFile(t)
	c := must.Get(connect(t.Context(), dsn(path)))(t)
	must.Do(t, migrate(t.Context(), c, migrations()[0].Name(), 1))
	must.Do(t, c.script(t.Context(), `
		INSERT INTO card VALUES (7, 'A', 'acme', 3, 2, x'01', 5, 3600, 6, '201', x'02', '101', x'03', 4, x'04', 1, 2, 1, NULL, 0, 'none');
		INSERT INTO answer VALUES
			('A', 'plain', x'11', x'21', 9000000000000000000),
			('A', '"quoted"', x'12', x'22', 9000000000000000000),
			('A', '"', x'13', x'23', 9000000000000000000),
			('A', 'both', x'14', x'24', 9000000000000000000),
			('A', '"both"', x'15', x'25', 9000000000000000000),
			('B', 'plain', x'16', x'26', 9000000000000000000)`))
	must.Do(t, c.Close())

	s := mustOpen(t, path, nil)
	at := func(ns int64) time.Time { return time.Unix(0, ns).UTC() }
	must.Equal(t, store.Card{
		ID: "A", Account: "acme", Version: 3, Events: 2, State: []byte{1}, Next: at(5), Interval: 3600, Due: at(6),
		ServiceCode: servicecode.MustParse("201"), Sealed: []byte{2},
		PreviousCode: servicecode.MustParse("101"), PreviousSealed: []byte{3}, PreviousUntil: at(4), Identity: []byte{4},
		Created: at(1), Rotated: at(2), Tries: 1, Failure: "none",
	}, must.Get(s.Card(t.Context(), "A"))(t))
	for _, tt := range []struct{ card, key, body string }{
		{"A", "plain", "\x21"}, {"A", "quoted", "\x22"}, {"A", `"`, "\x23"}, {"B", "plain", "\x26"},
	} {
		t.Run(tt.card+" "+tt.key, func(t *testing.T) {
			must.Do(t, s.Update(t.Context(), tt.card, store.HashKey(tt.card, tt.key), func(change *store.Change) error {
				if change.Prior == nil || string(change.Prior.Body) != tt.body {
					t.Errorf("prior %+v, want %q", change.Prior, tt.body)
				}
				return nil
			}))
		})
	}
	if left := ask(t, s.writer, "SELECT count(*) FROM answer WHERE length(key) <> 44"); left != "0" {
		t.Errorf("%s keys are not hashed", left)
	}
	if n := ask(t, s.writer, "SELECT count(*) FROM answer"); n != "5" {
		t.Errorf("%s answers, want 5: both spellings of a key are one", n)
	}
}
