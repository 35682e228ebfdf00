package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/service/postgres/pgtest"
)

// Start in a test; here t stands for the test's argument.
func ExampleStart() {
	var t *testing.T
	conn, err := pgx.Connect(t.Context(), pgtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
}
