package owntx_test

import (
	"bytes"
	"testing"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/examples/owntx"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

func TestOrder_IsStoredWithItsCardOrNeither(t *testing.T) {
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	shop := must.Get(owntx.Open(t.Context(), pgtest.Start(t), keys))(t)
	defer shop.Store.Close()
	defer shop.DB.Close()
	must.Get(shop.DB.Exec(t.Context(), "CREATE TABLE orders (card text PRIMARY KEY, price int)"))(t)
	must.Get(shop.DB.Exec(t.Context(), "INSERT INTO orders VALUES ('card-2', 5)"))(t)
	for card, ok := range map[string]bool{
		"card-1":           true,
		"4111111111111111": false, // the engine refuses it
		"card-2":           false, // the table does
	} {
		if err := shop.Order(t.Context(), card, 5); (err == nil) != ok {
			t.Errorf("%s: %v", card, err)
		}
	}
	var orders, cards string
	must.Do(t, shop.DB.QueryRow(t.Context(), "SELECT (SELECT string_agg(card, ' ' ORDER BY card) FROM orders), (SELECT string_agg(id, ' ') FROM cards)").Scan(&orders, &cards))
	if orders != "card-1 card-2" || cards != "card-1" {
		t.Errorf("orders of %q, cards %q; want card-1 and card-2, card-1", orders, cards)
	}
}
