package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"
)

// supervisor is systemd, or what speaks its sd_notify protocol; nobody, when the
// environment names no socket.
type supervisor struct {
	socket string
	every  time.Duration // between two signs of life; 0: none are expected
}

func (c *cli) supervisor() supervisor {
	s := supervisor{socket: c.env("NOTIFY_SOCKET")}
	if usec, err := strconv.ParseInt(c.env("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		s.every = time.Duration(usec) * time.Microsecond / 2
	}
	return s
}

// tell sends a state such as READY=1. Nobody listening is no error.
func (s supervisor) tell(state string) {
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

// watch gives signs of life while try comes back, until ctx ends.
func (s supervisor) watch(ctx context.Context, try func(context.Context)) {
	if s.socket == "" || s.every == 0 {
		return
	}
	ticker := clock.New().Ticker(s.every)
	defer ticker.Stop()
	for {
		try(ctx)
		s.tell("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
