// Package outbox delivers the events that a store has queued: at least once, and
// in order for each card. A [Relay] reads them from the store, a [Sink] delivers
// them to subscribers. Package jsonl is a sink; the service has a webhook and
// NATS JetStream.
//
// # What subscribers can rely on
//
// Every event is delivered or dead-lettered ("parked" in the store and on the
// wire). A delivery may be repeated, always with the same id and the same bytes:
// after a crash between delivery and acknowledgement, after a lost response,
// after a replay. The first deliveries of a card's events come in the order of
// their numbers. A subscriber keeps the number of the newest event of each card
// and skips events that are not newer.
//
// # Failures
//
// A failed event blocks the later events of its card, and no other card. It is
// retried with exponential backoff (retry.go). What happens then depends on the
// error:
//
//   - The sink's: the sink returns ErrUnavailable. The circuit breaker
//     (circuit_breaker.go) pauses all deliveries. After the pause one event
//     probes the sink, after the next pause two of other cards, and so on. No
//     attempt is counted, with one exception: an event whose probe fails again
//     although the sink has accepted others in between. A receiver may fail on
//     this one event while its proxy answers that it is unavailable.
//   - Any other error, a rejection of the event too: a receiver that is being
//     deployed, or has a wrong secret, rejects every event for a while. The attempt
//     is counted only if the sink accepted another event since the card's previous
//     failure. A sink that accepts nothing from any card is treated as unavailable.
//     After MaxAttempts counted attempts the event is dead-lettered.
//
// After an event is dead-lettered, the later events of its card are delivered: a
// subscriber sees that a number is missing. An operator can requeue it
// (store.Outbox.Requeue); it then arrives after the later ones.
//
// # Replicas
//
// One relay of all processes holds the outbox lease and delivers. A relay that
// loses its lease stops. What it had sent may arrive after events that its
// successor sends; subscribers skip it by its number.
package outbox
