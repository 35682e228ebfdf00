package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"cvvrotation/cmd/command"
)

// onAbort ends the process at SIGABRT, which is how systemd ends one that gives no
// signs of life, and SIGQUIT, and says what every goroutine is at. Go itself would
// show registers and arguments as well, which may hold parts of secrets. It returns
// what undoes this.
func (c *cli) onAbort() (undo func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGABRT, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			fmt.Fprintf(c.Stderr, "error: %v: ended at once; this is what the goroutines are at:\n", s)
			pprof.Lookup("goroutine").WriteTo(c.Stderr, 1)
			os.Exit(command.Failed)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
