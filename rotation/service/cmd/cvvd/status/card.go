package status

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/history"
	"cvvrotation/sim/draw"
)

// cardEvents is the maximum number of events on the page of a card.
const cardEvents = 100

//go:embed card.html
var cardHTML string

var (
	cardStyle = pageCSS + draw.StyleSheet()
	cardPage  = template.Must(template.New("card").Funcs(template.FuncMap{
		"css":  func() template.CSS { return template.CSS(cardStyle) },
		"time": history.Time,
	}).Parse(cardHTML))
	cardPolicy = policyFor(cardStyle)
)

// cardView holds what the page of one card shows. Without a Card it asks for an id.
type cardView struct {
	Card    string // the id; "" if there is none, or it is not a valid one
	Problem string // what was wrong with the request; "" if nothing
	At      time.Time
	Facts   []draw.Fact
	Notes   []string
	Figure  draw.Figure
	Rows    []cardRow // newest first
	Older   int64     // number before which older events begin; 0: none is kept
	Newest  bool      // the list begins with the newest event
}

type cardRow struct {
	engine.HistoryEvent
	Mark     int    // number of the event's mark in the picture; 0: not drawn
	Delivery string // note on an event that subscribers have not received
}

// findCard answers the form: it redirects to the card's page. The id comes in the body,
// because URLs end up in logs, and the id might be a PAN.
func (h *Handler) findCard(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	id := r.PostFormValue("card")
	if err := engine.CheckCard(id); err != nil {
		h.writeCard(w, r, http.StatusBadRequest, cardView{Problem: err.Error()})
		return
	}
	http.Redirect(w, r, "/cards/"+url.PathEscape(id), http.StatusSeeOther)
}

// askForCard shows the form.
func (h *Handler) askForCard(w http.ResponseWriter, r *http.Request) {
	h.writeCard(w, r, http.StatusOK, cardView{})
}

// showCard shows a card's state and history.
func (h *Handler) showCard(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := engine.CheckCard(id); err != nil {
		h.writeCard(w, r, http.StatusBadRequest, cardView{Problem: err.Error()})
		return
	}
	before := int64(0)
	if text := r.FormValue("before"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			h.writeCard(w, r, http.StatusBadRequest, cardView{Card: id, Problem: "before: must be the number of an event, from 1"})
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	c, err := history.Read(ctx, h.o.Cards, id, before, cardEvents)
	switch {
	case errors.Is(err, store.ErrNotFound):
		h.writeCard(w, r, http.StatusNotFound, cardView{Card: id, Problem: "There is no card with this id."})
		return
	case err != nil:
		h.o.Logger.ErrorContext(ctx, "status page: reading a card's history failed; answering 503", "card", id, "error", err)
		h.writeCard(w, r, http.StatusServiceUnavailable, cardView{Card: id, Problem: "The history cannot be read; see the log."})
		return
	}
	h.writeCard(w, r, http.StatusOK, h.newCardView(ctx, c, before))
}

func (h *Handler) newCardView(ctx context.Context, c history.Card, before int64) cardView {
	v := cardView{
		Card: c.Schedule.Card, At: c.At, Facts: c.Facts(), Notes: c.Notes(),
		Older: c.Older, Newest: before == 0 || before > c.Last,
	}
	section, err := c.Section()
	if err == nil && len(section.Steps) > 0 {
		v.Figure, err = draw.NewFigure(section)
	}
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "status page: drawing a card's history failed; showing the list", "card", v.Card, "error", err)
		section.Steps = nil
	}
	v.Notes = append(v.Notes, section.Intro...)
	for i, e := range c.Events {
		row := cardRow{HistoryEvent: e, Delivery: c.Delivery(e)}
		row.Mark = max(len(section.Steps)-i, 0)
		v.Rows = append(v.Rows, row)
	}
	return v
}

func (h *Handler) writeCard(w http.ResponseWriter, r *http.Request, status int, v cardView) {
	var b bytes.Buffer
	if err := cardPage.Execute(&b, v); err != nil {
		h.failed(w, r, err)
		return
	}
	write(w, status, cardPolicy, b.Bytes())
}
