package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"
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
