// Command cvvd is the daemon that rotates CVVs: the endpoint, the engine, the
// delivery of events and the operators' commands, on SQLite or PostgreSQL.
//
// Run "cvvd --help" for the commands, their flags and exit statuses.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
