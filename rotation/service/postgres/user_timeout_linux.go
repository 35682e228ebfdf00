package postgres

import (
	"strings"
	"syscall"
)

// tcpUserTimeout is the socket option TCP_USER_TIMEOUT, in milliseconds (tcp(7)).
const tcpUserTimeout = 0x12

// setUserTimeout makes the kernel break a TCP connection whose data is not acknowledged
// for deadAfter. By default it tries for a quarter of an hour.
func setUserTimeout(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(deadAfter.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
