package draw

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

func drawHTML(t rapid.TB, r Report) string {
	t.Helper()
	var b strings.Builder
	must.Do(t, HTML(&b, r))
	return b.String()
}

// TestHTML_HoldsForRandomTimelines: whatever the cards are called and the caller says, the page
// has one mark and one row an event, and no markup but its own.
func TestHTML_HoldsForRandomTimelines(t *testing.T) {
	hostile := rapid.SampledFrom(hostileCards)
	rapid.Check(t, func(t *rapid.T) {
		r := Report{
			Title: hostile.Draw(t, "title"),
			Intro: rapid.SliceOfN(hostile, 0, 3).Draw(t, "intro"),
			Facts: []Fact{{hostile.Draw(t, "name"), hostile.Draw(t, "value")}},
		}
		for range rapid.SampledFrom([]int{1, 1, 0, 2, 3}).Draw(t, "sections") {
			p := timelines(30).Draw(t, "timeline")
			for i := range p.steps {
				if rapid.Bool().Draw(t, "expects") {
					p.steps[i].Entry.Expect = p.steps[i].Outcome()
					p.steps[i].Entry.Expect.Rotate = rapid.Bool().Draw(t, "rotate")
				}
			}
			r.Sections = append(r.Sections, Section{
				Title: hostile.Draw(t, "title"),
				Intro: rapid.SliceOfN(hostile, 0, 2).Draw(t, "intro"),
				Rules: p.rules,
				Steps: p.steps,
			})
		}
		html := drawHTML(t, r)
		if drawHTML(t, r) != html {
			t.Fatal("the same report is drawn differently")
		}
		for _, c := range html {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("%q in the page", c)
			}
		}
		checkHTML(t, html, r)
	})
}

var (
	pageElements = strings.Fields(`html head meta title style body header nav h1 p dl div dt dd main article section h2 h3 ol ul li a button span
		table thead tbody tr th td time strong script svg defs path rect circle text g use label select option`)
	pageAttributes = strings.Fields(`lang charset http-equiv content name class id hidden type aria-label aria-labelledby aria-live aria-hidden
		role tabindex href data-do data-filter data-step scope datetime xmlns width height viewBox d x y rx cx cy r transform stroke-width value autocomplete preserveAspectRatio`)
)

// checkHTML checks what is true of every page.
func checkHTML(t rapid.TB, html string, r Report) {
	t.Helper()
	for _, raw := range []string{reportScript, styleSheet + reportStyle} {
		if strings.Count(html, raw) != 1 {
			t.Fatal("the page's script or style is not in it once, as it is")
		}
		html = strings.Replace(html, raw, "", 1)
	}
	html = strings.ReplaceAll(html, " hidden>", ` hidden="true">`)
	html = strings.TrimPrefix(html, "<!DOCTYPE html>\n")
	html = regexp.MustCompile(`(<meta [^>]*)>`).ReplaceAllString(html, "$1/>")
	d := xml.NewDecoder(strings.NewReader(html))
	var marks, differing, rows, sentences, named []string
	ids := make(map[string]bool)
	var sentence *strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name, attrs := token.Name.Local, make(map[string]string)
			if !slices.Contains(pageElements, name) {
				t.Fatalf("element <%s>", name)
			}
			for _, a := range token.Attr {
				if !slices.Contains(pageAttributes, a.Name.Local) {
					t.Fatalf("<%s> has %s", name, a.Name.Local)
				}
				attrs[a.Name.Local] = a.Value
			}
			if id, ok := attrs["id"]; ok {
				if ids[id] {
					t.Errorf("two elements have the id %s", id)
				}
				ids[id] = true
			}
			if href, ok := attrs["href"]; ok {
				if !strings.HasPrefix(href, "#") {
					t.Fatalf("a link to %s", href)
				}
				named = append(named, href[1:])
			}
			named = append(named, strings.Fields(attrs["aria-labelledby"])...)
			switch {
			case attrs["class"] == "mark", attrs["class"] == "mark differs":
				marks = append(marks, attrs["id"]+" "+attrs["href"])
				if attrs["class"] != "mark" {
					differing = append(differing, attrs["id"])
				}
			case name == "tr" && attrs["id"] != "":
				rows = append(rows, attrs["id"])
			case attrs["class"] == "sentence":
				sentence = new(strings.Builder)
			}
		case xml.CharData:
			if sentence != nil {
				sentence.Write(token)
			}
		case xml.EndElement:
			if token.Name.Local == "td" && sentence != nil {
				sentences = append(sentences, sentence.String())
				sentence = nil
			}
		}
	}
	for _, id := range named {
		if !ids[id] {
			t.Errorf("no element has the id %s", id)
		}
	}
	n := 0
	for i, section := range r.Sections {
		in := ""
		if len(r.Sections) > 1 {
			in = prefix(i)
		}
		for i, s := range section.Steps {
			mark, row := in+"mark-"+strconv.Itoa(i+1), in+"event-"+strconv.Itoa(i+1)
			if !slices.Contains(marks, mark+" #"+row) || n >= len(rows) || rows[n] != row {
				t.Fatalf("event %s has no mark or no row", row)
			}
			differs := len(s.Entry.Expect.Differences(s.Outcome())) > 0
			if slices.Contains(differing, mark) != differs {
				t.Errorf("event %s differs: %v, and its mark does not say so", row, differs)
			}
			want := section.Rules.Explain(s.Before, s.Entry.Event)
			for _, d := range s.Entry.Expect.Differences(s.Outcome()) {
				want += " ✗ Expected: " + d.Field + "=" + d.Want
			}
			if sentences[n] != want {
				t.Errorf("event %s says %q, want %q", row, sentences[n], want)
			}
			n++
		}
	}
	if len(marks) != n || len(rows) != n {
		t.Fatalf("%d marks and %d rows of %d events", len(marks), len(rows), n)
	}
}

// TestHTML_PolicyAllowsOnlyItsOwnScript: the policy names the page's own style and script, to the byte.
func TestHTML_PolicyAllowsOnlyItsOwnScript(t *testing.T) {
	html := drawHTML(t, Report{Title: "T"})
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(html)
	if policy == nil {
		t.Fatal("the page has no policy")
	}
	allowed := strings.ReplaceAll(policy[1], "&#39;", "'")
	allowed = strings.ReplaceAll(allowed, "&#43;", "+")
	if !strings.HasPrefix(allowed, "default-src 'none'; ") || strings.Contains(allowed, "unsafe") || strings.Contains(allowed, "self") {
		t.Errorf("the policy is %s", allowed)
	}
	for _, name := range []string{"style", "script"} {
		content := regexp.MustCompile(`(?s)<` + name + `>(.*)</` + name + `>`).FindStringSubmatch(html)
		if !strings.Contains(allowed, name+"-src "+hashSource(content[1])) {
			t.Errorf("the policy does not allow the page's %s: %s", name, allowed)
		}
	}
}

func TestHTML_ShowsTitleIntroAndFacts(t *testing.T) {
	html := drawHTML(t, Report{
		Title: "Broken: <S1>",
		Intro: []string{"The first paragraph.", "The second & last."},
		Facts: []Fact{{"Invariant", "S1"}, {"Seed", "42"}},
	})
	for _, want := range []string{
		"<title>Broken: &lt;S1&gt;</title>", "<h1>Broken: &lt;S1&gt;</h1>", `<p class="intro">The first paragraph.</p>`, "The second &amp; last.",
		"<dt>Invariant</dt><dd>S1</dd>", "<dt>Seed</dt><dd>42</dd>",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestHTML_RefusesTooManyEvents(t *testing.T) {
	_, steps := replay(t, drawn["chain"])
	steps = slices.Repeat(steps, MaxEvents/len(steps)+1)
	var b strings.Builder
	if err := HTML(&b, report("", rotation.Rules{}, steps)); !errors.Is(err, ErrTooMany) || b.Len() > 0 {
		t.Errorf("HTML of %d events: %v, %d bytes written", len(steps), err, b.Len())
	}
}

func TestHTML_ReturnsTheWritersError(t *testing.T) {
	rules, steps := replay(t, drawn["chain"])
	r := report("chain", rules, steps)
	size := len(drawHTML(t, r))
	for _, after := range []int{0, size / 2, size - 1} {
		if err := HTML(&cannotWrite{after}, r); !errors.Is(err, errCannotWrite) {
			t.Errorf("HTML to a writer that fails after %d bytes: %v", after, err)
		}
	}
}
