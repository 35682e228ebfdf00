package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"cvvrotation/cmd/command"
)

// onAbort makes the process dump its goroutines and exit on SIGQUIT and SIGABRT, which
// the watchdog of systemd sends. The dump has no registers and argument values, unlike
// that of Go's runtime, because they may contain parts of secrets. Calling undo
// restores the signals' default.
func (c *cli) onAbort() (undo func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGABRT, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			fmt.Fprintf(c.Stderr, "error: %v: exiting immediately; goroutine dump without argument values:\n", s)
			pprof.Lookup("goroutine").WriteTo(c.Stderr, 1)
			os.Exit(command.ExitFailed)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
