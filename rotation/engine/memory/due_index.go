package memory

import (
	"container/heap"
	"math"
	"time"

	"cvvrotation/rotation/engine/store"
)

// row is a stored card and its place in the index.
type row struct {
	card  store.Card
	place int // -1: it is never due
}

// index is a heap of the cards that have a Due, the earliest first, and cards
// of one instant by their ids.
type index []*row

// set puts r where its Due belongs.
func (x *index) set(r *row) {
	never := r.card.Due.IsZero()
	switch {
	case r.place < 0 && never:
	case r.place < 0:
		heap.Push(x, r)
	case never:
		heap.Remove(x, r.place)
	default:
		heap.Fix(x, r.place)
	}
}

// first returns up to limit cards that are due at now, in order.
func (x *index) first(limit int, now time.Time) []*row {
	var rows []*row
	for len(*x) > 0 && len(rows) < limit && !(*x)[0].card.Due.After(now) {
		rows = append(rows, heap.Pop(x).(*row))
	}
	for _, r := range rows {
		heap.Push(x, r)
	}
	return rows
}

// Len implements heap.Interface.
func (x index) Len() int { return len(x) }

// Less implements heap.Interface.
func (x index) Less(i, j int) bool {
	if c := x[i].card.Due.Compare(x[j].card.Due); c != 0 {
		return c < 0
	}
	return x[i].card.ID < x[j].card.ID
}

// Swap implements heap.Interface.
func (x index) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = i, j
}

// Push implements heap.Interface.
func (x *index) Push(r any) {
	r.(*row).place = len(*x)
	*x = append(*x, r.(*row))
}

// Pop implements heap.Interface.
func (x *index) Pop() any {
	last := len(*x) - 1
	r := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	r.place = -1
	return r
}

// stepOf returns the number of the step that contains t, counted from an instant in
// steps of that length; -1 if t is before the first.
func stepOf(from time.Time, step time.Duration, t time.Time) int64 {
	if t.Before(from) {
		return -1
	}
	if step <= 0 {
		return math.MaxInt64
	}
	return int64(t.Sub(from) / step)
}
