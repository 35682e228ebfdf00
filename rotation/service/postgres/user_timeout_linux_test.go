package postgres

import (
	"net"
	"syscall"
	"testing"

	"cvvrotation/sim/must"
)

func TestDialer_LimitsUnacknowledgedData(t *testing.T) {
	l := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	config := must.Get(parse("postgres://postgres@"+l.Addr().String()+"/d?sslmode=disable", nil))(t)
	conn := must.Get(config.ConnConfig.DialFunc(t.Context(), "tcp", l.Addr().String()))(t)
	defer conn.Close()
	raw := must.Get(conn.(*net.TCPConn).SyscallConn())(t)
	var got int
	var err error
	must.Do(t, raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }))
	if must.Do(t, err); got != 5000 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want 5000", got)
	}
}
