// Package fleet forecasts the load of rotating the CVVs of a whole fleet of
// cards: how many rotations, by kind and scenario, how many a second and a
// minute and when most, how far a host falls behind in an outage or at a given
// capacity, and what it would save to spread the cards' first slots.
//
// The forecast is exact, not sampled: each event of each card is decided as
// rotation.Rules.Decide does, and a small fleet's events can be had as a
// timeline (Options.Record), which replayed gives the same totals.
//
// # What happens in a forecast
//
// All cards get their interval at the start. Their first slot is one interval
// later, or earlier by up to Options.Spread. Then automatic rotations come at
// their slots and forced calls when they are made, automatic before forced at
// one instant, up to and including the end, as many times 24 hours after the start
// as there are days.
//
// The host works from the cards' states, as duty 4 of package rotation asks: a
// card whose next slot has passed is overdue and is served once, naming that
// slot, which is rule R5 or, within the guard, R6; the slots in between are
// missed (R17). A forced call that reschedules an overdue card takes it off the
// list. During an outage no automatic rotation is served, but forced calls are:
// nothing refuses them (R15).
//
// With a capacity of C, the host serves at most C rotations in each second of
// the clock. Forced calls come first and are never put off, also beyond C; the
// rest serves overdue cards, oldest slot first and then by card number. A
// rotation that had to wait is served at the start of the first second with
// capacity left.
//
// # How it is computed
//
// Without outage or capacity the rotations between two forced calls of a card
// follow from a division (ModeClosed). With an outage, cards are still independent
// and are simulated one by one, event by event (ModeEvent). Neither keeps a card in
// memory. With a capacity that some second exceeds, all cards go through one queue,
// in about 32 bytes a card, and 16 more with forced calls. It does not sort: cards of
// one interval leave it in the order in which they entered. Cards are shared out to
// workers in chunks; sums do not depend on how.
//
// # Random numbers
//
// Every random number is a hash of the seed, the card's number, the stream (its
// purpose) and a counter, by SplitMix64's finaliser. So it depends on nothing
// else: not on the workers, not on other cards, not on what came before.
package fleet
