package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/internal/eventtest"
	"cvvrotation/sim/must"
)

// TestV1_BytesAreFrozen reads and writes the files of testdata/v1. No flag updates
// them: files may be added, their bytes never change. What is in the field and in
// outboxes must be read, and subscribers may compare bytes.
func TestV1_BytesAreFrozen(t *testing.T) {
	golden := eventtest.Golden()
	files := must.Get(filepath.Glob("testdata/v1/*.json"))(t)
	if len(files) != len(golden) {
		t.Errorf("%d files for the events %v", len(files), slices.Sorted(maps.Keys(golden)))
	}
	for name, e := range golden {
		t.Run(name, func(t *testing.T) {
			want := must.Get(os.ReadFile(filepath.Join("testdata/v1", name+".json")))(t)
			must.Equal(t, string(want), string(e.AppendJSON(nil))+"\n")
			for _, parse := range []func([]byte) (event.Changed, error){event.Parse, event.ParseStrict} {
				back, err := parse(want)
				if diff := cmp.Diff(e, back); err != nil || diff != "" {
					t.Errorf("%v\n%s", err, diff)
				}
			}
		})
	}
}

func TestSchema_HasTheVersionOfType(t *testing.T) {
	var doc struct {
		ID         string `json:"$id"`
		Properties struct{ Type struct{ Const string } }
	}
	must.Do(t, json.Unmarshal(event.Schema(), &doc))
	if doc.Properties.Type.Const != event.Type || doc.ID != "urn:cvvrotation:schema:"+event.Type {
		t.Errorf("%+v", doc)
	}
}

func TestParse_ReadsBackEveryEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, e := range eventtest.History(t) {
			b := e.AppendJSON(nil)
			back, err := event.ParseStrict(b)
			if err != nil {
				t.Fatalf("%s\n%v", b, err)
			}
			if diff := cmp.Diff(e, back); diff != "" {
				t.Fatalf("%s\n%s", b, diff)
			}
			if !json.Valid(b) || bytes.ContainsAny(b, "\n\r") {
				t.Fatalf("not one line of JSON: %s", b)
			}
		}
	})
}

func TestParse_SkipsUnknownMembers(t *testing.T) {
	for name, e := range eventtest.Golden() {
		good := string(e.AppendJSON(nil))
		for _, c := range eventtest.Unknown() {
			t.Run(name+c.To, func(t *testing.T) {
				b := []byte(strings.Replace(good, c.From, c.To, 1))
				if back, err := event.Parse(b); err != nil || back != e {
					t.Errorf("%+v, %v", back, err)
				}
				if _, err := event.ParseStrict(b); !errors.Is(err, event.ErrEvent) || strings.Contains(err.Error(), "123") {
					t.Errorf("ParseStrict: %v", err)
				}
			})
		}
	}
}

func TestParse_RefusesInvalidEvents(t *testing.T) {
	good := string(eventtest.Golden()["automatic"].AppendJSON(nil))
	for _, c := range eventtest.Invalid() {
		t.Run(c.To, func(t *testing.T) {
			bad := strings.Replace(good, c.From, c.To, 1)
			if bad == good {
				t.Fatalf("%s is not in the event", c.From)
			}
			_, err := event.Parse([]byte(bad))
			if !errors.Is(err, event.ErrEvent) || !strings.Contains(err.Error(), c.Says) {
				t.Fatal(err)
			}
			if strings.Contains(err.Error(), "123") {
				t.Errorf("the error quotes the input: %v", err)
			}
		})
	}
}

func TestParse_RefusesCardsThatLookLikeAPAN(t *testing.T) {
	for id, want := range eventtest.CardIDs() {
		t.Run(id, func(t *testing.T) {
			e := eventtest.Golden()["automatic"]
			e.Card = id
			_, err := event.Parse(e.AppendJSON(nil))
			if (err == nil) != want || err != nil && strings.Contains(err.Error(), id) {
				t.Error(err)
			}
		})
	}
}

func TestAppendJSON_WritesInstantsInUTC(t *testing.T) {
	e := eventtest.Golden()["automatic"]
	want := e.AppendJSON(nil)
	there := time.FixedZone("there", 3600)
	e.At, e.Next = e.At.In(there), e.Next.In(there)
	must.Equal(t, string(want), string(e.AppendJSON(nil)))
}

func TestAppendJSON_DoesNotAllocate(t *testing.T) {
	e := eventtest.Golden()["automatic"]
	b := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { b = e.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse_RoundTrips checks that an event that Parse accepts is the same after
// writing and reading, and that ParseStrict accepts no more than Parse.
func FuzzParse_RoundTrips(f *testing.F) {
	for _, e := range eventtest.Golden() {
		good := string(e.AppendJSON(nil))
		f.Add([]byte(good))
		for _, c := range eventtest.Unknown() {
			f.Add([]byte(strings.Replace(good, c.From, c.To, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := event.Parse(b)
		strict, refused := event.ParseStrict(b)
		if refused == nil && (err != nil || strict != e) {
			t.Errorf("ParseStrict: %+v, Parse: %+v, %v", strict, e, err)
		}
		if err != nil {
			if !errors.Is(err, event.ErrEvent) {
				t.Fatal(err)
			}
			return
		}
		again, err := event.ParseStrict(e.AppendJSON(nil))
		if err != nil || again != e {
			t.Errorf("%+v\n%+v\n%v", e, again, err)
		}
	})
}
