// Package loopback reports whether a host is this machine, which decides whether
// a connection needs TLS.
package loopback

import "net/netip"

// IsHost reports whether host is certainly this machine: "localhost" in lower
// case, an address in 127.0.0.0/8 (also mapped to IPv6) or ::1. It expects a host
// as net.SplitHostPort and url.URL.Hostname return it, without port and brackets.
//
// Everything else is treated as remote: names below or beside localhost, which a
// DNS server may resolve; addresses with a zone; the empty host and unspecified
// addresses, which a listener opens on all interfaces.
func IsHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
