package check

import (
	"fmt"
)

// journal is what happened in a run, for people.
type journal struct{ lines []journalLine }

type journalLine struct {
	at   int64
	card int // -1: concerns all
	text string
}

func (h *host) note(card int, format string, args ...any) {
	if h.journal != nil {
		h.journal.lines = append(h.journal.lines, journalLine{h.now, card, fmt.Sprintf(format, args...)})
	}
}

func (h *host) noteAll(format string, args ...any) { h.note(-1, format, args...) }
