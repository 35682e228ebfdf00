package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"cvvrotation/rotation/service/audit"
)

// origin is where a request came from, for logs.
type origin struct {
	from        netip.Addr // the caller's address; invalid: unknown
	proxy       netip.Addr // the peer, if it is a trusted proxy that named from
	certificate audit.Certificate
}

// originOf returns the request's origin. The caller is the peer of the connection,
// unless the peer is a trusted proxy that names another in X-Forwarded-For. A
// client certificate counts only if the server has verified it.
func originOf(r *http.Request, trusted []netip.Prefix) origin {
	var o origin
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		o.certificate = audit.CertificateOf(r.TLS.PeerCertificates[0])
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return o // such as a Unix socket
	}
	hop := peer.Addr().Unmap()
	o.from = forwardedFor(r.Header.Values("X-Forwarded-For"), hop, trusted)
	if o.from != hop {
		o.proxy = hop
	}
	return o
}

// forwardedFor follows X-Forwarded-For from right to left, from the peer as far as the
// hops are trusted proxies. It returns the first address that is not one. Each proxy
// appends the address of its client, so entries further left are the caller's claim.
// It stops at an entry that is not an address, because it cannot tell who wrote it.
func forwardedFor(headers []string, hop netip.Addr, trusted []netip.Prefix) netip.Addr {
	entries := strings.Split(strings.Join(headers, ","), ",")
	for _, entry := range slices.Backward(entries) {
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(hop) }) {
			break
		}
		before, ok := forwardedAddr(strings.Trim(entry, " \t"))
		if !ok {
			break
		}
		hop = before
	}
	return hop
}

// forwardedAddr parses an entry: an address, in brackets if it is IPv6, with or
// without a port. The zone of an IPv6 address is dropped: it has a meaning on the
// proxy only, and may be any text.
func forwardedAddr(entry string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.WithZone("").Unmap(), true
}

// text returns the address as text, or "" if it is unknown.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
