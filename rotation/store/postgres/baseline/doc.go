// Package baseline does the work of the PostgreSQL store with a job queue,
// riverqueue/river, one job a card, to compare speeds in one run:
//
//	cd rotation/store/postgres/baseline
//	go test -run '^$' -bench . -benchtime 1x -cards 20000
//
// It is a module of its own, so that services that embed the store do not get
// the queue.
package baseline
