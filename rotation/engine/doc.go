// Package engine rotates the CVVs of stored cards by the rules of package
// rotation: when forced, and on schedule.
//
// An Engine needs a store and a generator of CVVs. Each operation is one
// transaction that decides, draws the CVV, updates the card and writes the event,
// or does nothing. [Engine.Run] claims due cards from the store's index, in any
// number of processes that share the store.
//
// A service (Example_service):
//
//	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))) // from a file or a KMS
//	if err != nil {
//		log.Fatal(err)
//	}
//	e, err := engine.New(memory.New(memory.Options{}), engine.Random(nil, keys), engine.Options{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	ctx, stop := context.WithCancel(context.Background())
//	defer stop()
//	go e.Run(ctx)
//
//	card := engine.Ref{Card: "card-1", Account: "acme"}
//	daily := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
//	if _, _, err := e.Register(ctx, card, daily); err != nil {
//		log.Fatal(err)
//	}
//	r, err := e.Force(ctx, card, engine.ForceRequest{Key: "7c1e"})
//	fmt.Println("version", r.Version, "rotated", r.Rotated, err)
//	// Output: version 2 rotated true <nil>
//
// # Time
//
// Decisions are made at the store's time (store.Cards.Now), which is the
// database's where several processes share one. The engine sleeps by the clock in
// Options, else by the store's (store.Clocked), else by the real one.
//
// # Transactions
//
// [Engine.InTx] changes cards in a transaction of the service's own, together with its
// rows.
//
// # Secrets
//
// Nothing that the engine stores, logs, returns or reports to an [Observer] holds a
// CVV or a PAN in the clear, except the result of [Engine.Reveal]. A panic, of a
// Generator for example, becomes an error without the panic's value, which could be
// a secret. The log names where it happened.
//
// # Concurrency
//
// An Engine is safe for concurrent use, and so is any number of them on one store.
package engine
