package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cmd/command"
)

// supervisor notifies systemd by the sd_notify protocol. Without a socket in the
// environment it does nothing.
type supervisor struct {
	socket string
	every  time.Duration // interval between watchdog messages; 0: the watchdog is off
}

func (c *cli) supervisor() supervisor {
	s := supervisor{socket: c.env("NOTIFY_SOCKET")}
	if usec, err := strconv.ParseInt(c.env("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		s.every = time.Duration(usec) * time.Microsecond / 2
	}
	return s
}

// notify sends a state such as READY=1. It ignores errors.
func (s supervisor) notify(state string) {
	if s.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write([]byte(state))
}

// watch feeds the watchdog each time that try returns, until ctx ends. A try that hangs
// makes systemd restart the daemon.
func (s supervisor) watch(ctx context.Context, try func(context.Context)) {
	if s.socket == "" || s.every == 0 {
		return
	}
	ticker := clock.New().Ticker(s.every)
	defer ticker.Stop()
	for {
		try(ctx)
		s.notify("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

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
