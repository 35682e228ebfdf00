package service_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"cvvrotation/rotation"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// client is a driver: it runs a statement, and scans the one row of a query.
type client struct {
	exec func(query string, args ...any) error
	scan func(dst any, query string) error
}

func openPGX(t *testing.T, url string, mode pgx.QueryExecMode) client {
	ctx := context.Background()
	config := must.Get(pgx.ParseConfig(url))(t)
	config.DefaultQueryExecMode = mode
	conn := must.Get(pgx.ConnectConfig(ctx, config))(t)
	t.Cleanup(func() { conn.Close(ctx) })
	return client{
		func(query string, args ...any) error { _, err := conn.Exec(ctx, query, args...); return err },
		func(dst any, query string) error { return conn.QueryRow(ctx, query).Scan(dst) },
	}
}

func openSQL(t *testing.T, driver, source string) client {
	db := must.Get(sql.Open(driver, source))(t)
	t.Cleanup(func() { db.Close() })
	return client{
		func(query string, args ...any) error { _, err := db.Exec(query, args...); return err },
		func(dst any, query string) error { return db.QueryRow(query).Scan(dst) },
	}
}

// openClients returns clients by database and column of the table in docs/embedding.md.
func openClients(t *testing.T) map[string]client {
	url := pgtest.Start(t)
	return map[string]client{
		"PostgreSQL, pgx":                  openPGX(t, url, pgx.QueryExecModeCacheStatement),
		"PostgreSQL, pgx, simple protocol": openPGX(t, url, pgx.QueryExecModeSimpleProtocol),
		"PostgreSQL, database/sql":         openSQL(t, "pgx", url),
		"SQLite, database/sql":             openSQL(t, "sqlite", filepath.Join(t.TempDir(), "cards.db")),
	}
}

var tables int

// created creates a table of one column v with one row, and returns functions that
// store a value and scan it.
func (c client) created(t *testing.T, typ string) (store func(any) error, scan func(any) error) {
	t.Helper()
	tables++
	table := fmt.Sprintf("t%d", tables) // a new one, because pgx caches plans by query
	must.Do(t, errors.Join(c.exec("CREATE TABLE "+table+" (v "+typ+")"), c.exec("INSERT INTO "+table+" VALUES (NULL)")))
	return func(v any) error { return c.exec("UPDATE "+table+" SET v = $1", v) },
		func(dst any) error { return c.scan(dst, "SELECT v FROM "+table) }
}

// asWritten returns what an expression in a cell of the table passes for the state.
func asWritten(t *testing.T, cell string, s rotation.State) any {
	switch cell {
	case "`state.String()`":
		return s.String()
	case "`state.MarshalBinary()`":
		data, _ := s.MarshalBinary()
		return data
	case "`state`":
		return s
	case "JSON as a string":
		document, _ := json.Marshal(s)
		return string(document)
	}
	t.Fatalf("unknown cell %q", cell)
	return nil
}

var tableRow = regexp.MustCompile("(?m)^\\| (PostgreSQL|SQLite) `(.*)` \\| (.*) \\| (.*) \\| (.*) \\|$")

// Each cell of the table says how a client writes a State to a type of column.
func TestState_ThroughEachCellOfTheTable(t *testing.T) {
	page := must.Get(os.ReadFile("../../docs/embedding.md"))(t)
	clients := openClients(t)
	cells := 0
	for _, row := range tableRow.FindAllStringSubmatch(string(page), -1) {
		for i, driver := range []string{"pgx", "pgx, simple protocol", "database/sql"} {
			cell := row[i+3]
			if cell == "–" {
				continue
			}
			cells++
			t.Run(row[1]+"/"+row[2]+"/"+driver, func(t *testing.T) {
				c, ok := clients[row[1]+", "+driver]
				if !ok {
					t.Fatal("no such client")
				}
				store, scan := c.created(t, row[2])
				checkCell(t, row[2], store, scan, func(s rotation.State) any { return asWritten(t, cell, s) })
			})
		}
	}
	if want := 5*3 + 2; cells != want {
		t.Errorf("the table has %d cells, want %d", cells, want)
	}
}

func checkCell(t *testing.T, typ string, store, scan func(any) error, written func(rotation.State) any) {
	daily, _, _ := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(time.Date(2026, 11, 22, 15, 0, 0, 7, time.UTC), 24*time.Hour))
	forced, _, _ := rotation.Rules{}.Decide(daily, rotation.Forced(time.Date(2026, 11, 22, 16, 0, 0, 1, time.UTC)))
	for _, want := range []rotation.State{daily, forced, {}} {
		got := daily
		if err := errors.Join(store(written(want)), scan(&got)); err != nil || got != want {
			t.Errorf("%v came back as %v, %v", want, got, err)
		}
	}
	zero := map[string]any{"NULL": nil}
	if strings.HasPrefix(typ, "json") {
		zero["null in JSON"] = "null"
	}
	for name, null := range zero {
		got := daily
		if err := errors.Join(store(null), scan(&got)); err != nil || got != (rotation.State{}) {
			t.Errorf("%s came back as %v, %v", name, got, err)
		}
	}

	damaged := written(daily)
	switch v := damaged.(type) {
	case []byte:
		v[len(v)-1]++
	case string:
		damaged = strings.Replace(v, "24h", "25h", 1)
	case rotation.State:
		damaged = `"` + strings.Replace(v.String(), "24h", "25h", 1) + `"`
	}
	got := forced
	must.Do(t, store(damaged))
	err := scan(&got)
	if !errors.Is(err, rotation.ErrStateDamaged) || got != forced {
		t.Errorf("a damaged value came back as %v, %v", got, err)
	}
	if text := fmt.Sprint(err); !strings.Contains(text, "read as string") && !strings.Contains(text, "read as []uint8") {
		t.Errorf("the error does not name the type received: %v", err)
	}
}

func TestState_InsideADocument(t *testing.T) {
	type document struct {
		Card  string
		State rotation.State
	}
	daily, _, _ := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(time.Date(2026, 11, 22, 15, 0, 0, 7, time.UTC), 24*time.Hour))
	for name, c := range openClients(t) {
		if !strings.HasPrefix(name, "PostgreSQL") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			store, scan := c.created(t, "jsonb")
			for _, want := range []document{{"A", daily}, {"B", rotation.State{}}} {
				data, _ := json.Marshal(want)
				var text string
				got := document{}
				if err := errors.Join(store(string(data)), scan(&text), json.Unmarshal([]byte(text), &got)); err != nil || got != want {
					t.Errorf("%v came back as %v, %v", want, got, err)
				}
				if name == "PostgreSQL, pgx" {
					got = document{}
					if err := errors.Join(store(want), scan(&got)); err != nil || got != want {
						t.Errorf("%v came back as %v, %v", want, got, err)
					}
				}
			}
		})
	}
}

func TestServiceCode_ThroughColumns(t *testing.T) {
	for name, c := range openClients(t) {
		for _, typ := range []string{"text", "varchar(3)", "char(3)"} {
			t.Run(name+"/"+typ, func(t *testing.T) {
				store, scan := c.created(t, typ)
				for _, want := range []string{"201", "021", "000", ""} {
					var code, got servicecode.Code
					must.Do(t, code.UnmarshalText([]byte(want)))
					var raw sql.NullString
					if err := errors.Join(store(code), scan(&raw), scan(&got)); err != nil || got != code || raw != (sql.NullString{String: want, Valid: want != ""}) {
						t.Errorf("%v is stored as %v and came back as %v, %v", code, raw, got, err)
					}
				}
			})
		}
		t.Run(name+"/integer", func(t *testing.T) {
			store, scan := c.created(t, "integer")
			got := servicecode.MustParse("201")
			must.Do(t, store(7))
			if err := scan(&got); !errors.Is(err, servicecode.ErrSyntax) || got != servicecode.MustParse("201") {
				t.Errorf("7 came back as %v, %v", got, err)
			}
		})
		if strings.HasPrefix(name, "PostgreSQL") {
			t.Run(name+"/jsonb", func(t *testing.T) {
				if store, _ := c.created(t, "jsonb"); store(servicecode.MustParse("021")) == nil {
					t.Error("021 was stored, as a number")
				}
			})
		}
	}
}
