//go:build race

package main

// With the race detector, the daemons that tests start have it, too.
func init() { buildFlags = append(buildFlags, "-race") }
