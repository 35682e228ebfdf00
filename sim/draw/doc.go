// Package draw draws replayed timelines for people: as text for a terminal
// ([Text]), as a picture ([SVG]) and as a page with the picture and a table
// ([HTML]).
//
// All show for each event what it did and why. Where an event comes soon after
// the previous scheduling request, its place within the guard is drawn: inside
// the guard the schedule is kept, at its very end and after it a new scheduling
// takes place. A symbol or a word always says what a colour says.
//
// The output is a function of the steps alone: the same steps give the same
// bytes. Card ids and titles may hold anything; what is not printable is written
// as Go escapes it, and what is too long is cut in its middle.
//
// Columns are counted in runes. Where a card id holds runes that a terminal
// draws two columns wide, or none, columns after it are out of line by as much.
package draw
