// Command cvvsim replays, verifies and draws timelines of CVV rotation, hunts
// for mistakes in the rules, and forecasts the load of whole fleets.
//
// Run "cvvsim --help" for the commands, their flags and exit statuses.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
