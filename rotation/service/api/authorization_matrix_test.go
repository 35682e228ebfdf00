package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

var update = flag.Bool("update", false, "rewrite docs/security/authorization.md; review the difference")

// matrixPage is the page that holds the matrix.
const matrixPage = "../../../docs/security/authorization.md"

// matrixRow is an operation of the document on a card in some state.
type matrixRow struct {
	operation string   // operationId of the document
	state     string   // of the card, for people; empty: registered
	body      string   // WRONG stands for a wrong CVV
	new       bool     // the card is not registered
	also      []string // scopes that this state requires beside the document's
	refusal   int      // for a caller with all rights; 0: success
}

// matrixRows has at least one row for each operation of the document.
var matrixRows = []matrixRow{
	{operation: "registerCard", state: "new card", new: true, body: `{"cvv_rotation_interval_hours":24}`},
	{operation: "registerCard", state: "registered, same settings", body: `{"cvv_rotation_interval_hours":24}`},
	{operation: "registerCard", state: "registered, other settings", body: `{"cvv_rotation_interval_hours":48}`, also: []string{api.ScopeSchedule}},
	{operation: "rotateCvv"},
	{operation: "showCvvRotation"},
	{operation: "showCvvRotation", state: "no such card", new: true, refusal: 404},
	{operation: "showCvvHistory"},
	{operation: "showCvvHistory", state: "no such card", new: true, refusal: 404},
	{operation: "changeCvvRotation", body: `{"cvv_rotation_interval_hours":48}`},
	{operation: "deleteCvvRotation"},
	{operation: "revealCvv"},
	{operation: "verifyCvv", state: "wrong CVV", body: `{"cvv":"WRONG"}`},
	{operation: "unlockCvv", state: "locked"},
}

// matrixCaller is a kind of caller, for the scopes that a row requires.
type matrixCaller struct {
	name  string
	token func(s *site, needed []string) string // "-": none
	// status returns what the caller must get; 0 is what a caller with all rights gets.
	status func(needed []string, row matrixRow) int
}

func matrixToken(s *site, account string, lifetime time.Duration, scopes ...string) string {
	return s.dev.Token(auth.Caller{Subject: "svc-1", Account: account, Scopes: scopes}, lifetime)
}

func always(status int) func([]string, matrixRow) int {
	return func([]string, matrixRow) int { return status }
}

// matrixCallers returns the kinds of callers: one for each scope of the document, and
// those below.
func matrixCallers(scopes []string) []matrixCaller {
	callers := []matrixCaller{
		{"no token", func(*site, []string) string { return "-" }, always(401)},
		{"expired token", func(s *site, needed []string) string { return matrixToken(s, "acme", -time.Second, needed...) }, always(401)},
		{"no scope", func(s *site, _ []string) string { return matrixToken(s, "acme", time.Hour) }, always(403)},
		{"unknown scope", func(s *site, _ []string) string { return matrixToken(s, "acme", time.Hour, "cvv:*", "cvv", "CVV:READ") }, always(403)},
	}
	for _, scope := range scopes {
		callers = append(callers, matrixCaller{
			scope,
			func(s *site, _ []string) string { return matrixToken(s, "acme", time.Hour, scope) },
			func(needed []string, _ matrixRow) int {
				if slices.Equal(needed, []string{scope}) {
					return 0
				}
				return 403
			},
		})
	}
	return append(callers,
		matrixCaller{"all other scopes", func(s *site, needed []string) string {
			return matrixToken(s, "acme", time.Hour, slices.DeleteFunc(slices.Clone(scopes), func(sc string) bool { return slices.Contains(needed, sc) })...)
		}, always(403)},
		matrixCaller{"no account", func(s *site, needed []string) string { return matrixToken(s, "", time.Hour, needed...) }, always(403)},
		matrixCaller{"other account", func(s *site, needed []string) string { return matrixToken(s, "other", time.Hour, needed...) }, func(_ []string, row matrixRow) int {
			if row.new {
				return 0 // it would be the card of that account
			}
			return 403
		}},
		matrixCaller{"needed scopes", func(s *site, needed []string) string { return matrixToken(s, "acme", time.Hour, needed...) }, always(0)},
		matrixCaller{"operator", func(s *site, needed []string) string {
			return matrixToken(s, "acme", time.Hour, append(slices.Clone(needed), api.ScopeAnyAccount)...)
		}, always(0)},
	)
}

// matrixCell is what one caller got.
type matrixCell struct {
	status  int
	problem string
	reads   []string // members of the response
	changes []string // fields of the card, and the event
}

// TestAuthorize_Matrix calls each operation of the document as each kind of caller, and
// holds the outcome against the scopes that the document requires. A caller who is
// refused reads nothing but the problem and changes nothing.
func TestAuthorize_Matrix(t *testing.T) {
	s := newSite(t, setup{engine: engine.Options{MaxTries: 3}})
	callers := matrixCallers(documentScopes(t))
	statuses, effects := make([]string, len(callers)), ""
	head, rule := "| caller |", "|---|"
	documented := documentedOperations()
	covered := make(map[string]bool)
	for n, row := range matrixRows {
		op, ok := documented[row.operation]
		if !ok {
			t.Errorf("the document has no operation %s", row.operation)
			continue
		}
		covered[row.operation] = true
		needed := append(slices.Clone(op.scopes), row.also...)
		name := strings.TrimSuffix(row.operation+", "+row.state, ", ")
		head, rule = head+" "+name+" |", rule+"---|"
		for i, caller := range callers {
			t.Run(name+"/"+caller.name, func(t *testing.T) {
				cell := s.matrixCell(t, row, op, "card-"+strconv.Itoa(n)+"-"+strconv.Itoa(i), caller.token(s, needed))
				cell.check(t, cmp.Or(caller.status(needed, row), row.refusal))
				statuses[i] += matrixStatus(cell.status)
				if caller.name == "needed scopes" {
					effects += fmt.Sprintf("| %s | %s | `%s %s` | %s | %s |\n", name, matrixList(needed), op.method, op.path, matrixList(cell.reads), matrixList(cell.changes))
				}
			})
		}
	}
	for id, op := range documented {
		if len(op.scopes) > 0 && !covered[id] {
			t.Errorf("operation %s of the document has no row", id)
		}
	}
	table := head + "\n" + rule + "\n"
	for i, caller := range callers {
		table += "| " + caller.name + " |" + statuses[i] + "\n"
	}
	checkPage(t, table, "| operation | scopes | request | reads | changes |\n|---|---|---|---|---|\n"+effects)
}

func matrixStatus(status int) string {
	if status < 300 {
		return fmt.Sprintf(" **%d** |", status)
	}
	return fmt.Sprintf(" %d |", status)
}

func matrixList(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// documentScopes returns all scopes that the document names.
func documentScopes(t *testing.T) []string {
	scheme := openapi().raw["components"].(map[string]any)["securitySchemes"].(map[string]any)["bearer"].(map[string]any)
	scopes := []string{api.ScopeAnyAccount}
	for _, op := range documentedOperations() {
		scopes = append(scopes, op.scopes...)
	}
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	for _, scope := range scopes {
		if !strings.Contains(scheme["description"].(string), scope+" (") {
			t.Errorf("the description of the security scheme lacks the scope %s", scope)
		}
	}
	return scopes
}

// documentedOperation is an operation of the document.
type documentedOperation struct {
	method, path string
	scopes       []string
}

func documentedOperations() map[string]documentedOperation {
	found := make(map[string]documentedOperation)
	for path, methods := range openapi().paths {
		for method, op := range methods {
			d := documentedOperation{method: method, path: path}
			for _, alternative := range op["security"].([]any) {
				for _, scope := range alternative.(map[string]any)["bearer"].([]any) {
					d.scopes = append(d.scopes, scope.(string))
				}
			}
			found[op["operationId"].(string)] = d
		}
	}
	return found
}

// matrixCell sends the row's request for a card of its own.
func (s *site) matrixCell(t *testing.T, row matrixRow, op documentedOperation, id, token string) matrixCell {
	t.Helper()
	body := row.body
	if !row.new {
		s.card(id, 24*time.Hour)
		right, wrong := s.cvv(id)
		body = strings.ReplaceAll(body, "WRONG", wrong)
		tries := 1
		if row.state == "locked" {
			tries = 3
		}
		for range tries {
			must.Get(s.engine.Verify(t.Context(), engine.AnyAccount(id), parseCVV(t, wrong)))(t)
		}
		defer func() {
			if op.path != "/v1/cards/{cardId}/cvv" && strings.Contains(s.log.String(), `"`+right+`"`) {
				t.Error("the log contains the CVV")
			}
		}()
	}
	s.clock.add(5 * time.Minute) // past the guard
	before := s.stored(t, id)
	a := s.do(request{method: op.method, path: strings.Replace(op.path, "{cardId}", id, 1), body: body, token: token})
	cell := matrixCell{status: a.status, problem: a.text("type"), reads: slices.Sorted(maps.Keys(a.body))}
	cell.changes = changedFields(before, s.stored(t, id))
	return cell
}

func parseCVV(t *testing.T, digits string) cvvgen.CVV {
	t.Helper()
	var cvv cvvgen.CVV
	must.Do(t, cvv.UnmarshalText([]byte(digits)))
	return cvv
}

// stored returns a card as the store has it, as members of JSON.
func (s *site) stored(t *testing.T, id string) map[string]any {
	t.Helper()
	c, err := s.store.Card(context.Background(), id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	must.Do(t, err)
	fields := make(map[string]any)
	must.Do(t, json.Unmarshal(must.Get(json.Marshal(c))(t), &fields))
	return fields
}

func changedFields(before, after map[string]any) (names []string) {
	if before == nil && after != nil {
		return []string{"a new card of the caller's account"}
	}
	for name := range after {
		if !gocmp.Equal(before[name], after[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// check holds a cell against the status that the caller must get; 0: success.
func (c matrixCell) check(t *testing.T, want int) {
	t.Helper()
	if want == 0 {
		if c.status < 200 || c.status > 299 {
			t.Errorf("status %d, want success: %s", c.status, c.problem)
		}
		return
	}
	if c.status != want {
		t.Errorf("status %d, want %d: %s", c.status, want, c.problem)
	}
	if len(c.changes) > 0 {
		t.Errorf("a refused caller changed %q", c.changes)
	}
	for _, member := range c.reads {
		if !slices.Contains([]string{"detail", "request_id", "status", "title", "type"}, member) {
			t.Errorf("a refused caller reads the member %s", member)
		}
	}
}

// checkPage compares the tables with those of the page, or rewrites these.
func checkPage(t *testing.T, tables ...string) {
	t.Helper()
	page := string(must.Get(os.ReadFile(matrixPage))(t))
	want := page
	for _, table := range tables {
		head, _, _ := strings.Cut(table, "\n")
		start := strings.Index(want, head[:strings.Index(head[1:], "|")+1])
		if start < 0 {
			t.Fatalf("%s lacks the table that begins with %s", matrixPage, head)
		}
		old, _, _ := strings.Cut(want[start:], "\n\n")
		want = strings.Replace(want, old, strings.TrimSuffix(table, "\n"), 1)
	}
	if *update {
		must.Do(t, os.WriteFile(matrixPage, []byte(want), 0o666))
		return
	}
	if diff := gocmp.Diff(page, want); diff != "" && !t.Failed() {
		t.Errorf("the page differs; run the test with -update and review it: %s", diff)
	}
}
