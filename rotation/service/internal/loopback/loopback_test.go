package loopback

import "testing"

func TestIsHost_AcceptsOnlyThisMachine(t *testing.T) {
	for _, tt := range []struct {
		name, host string
		want       bool
	}{
		{"localhost", "localhost", true},
		{"IPv4", "127.0.0.1", true},
		{"first of 127.0.0.0/8", "127.0.0.0", true},
		{"last of 127.0.0.0/8", "127.255.255.255", true},
		{"IPv6", "::1", true},
		{"IPv6 in full", "0:0:0:0:0:0:0:1", true},
		{"IPv4 mapped to IPv6", "::ffff:127.0.0.1", true},
		{"IPv4 mapped to IPv6, hexadecimal", "::ffff:7f00:1", true},

		{"empty", "", false},
		{"upper case", "LOCALHOST", false},
		{"long s, which folds to s", "localhoſt", false},
		{"trailing dot of a name", "localhost.", false},
		{"trailing dot of an address", "127.0.0.1.", false},
		{"name that starts with localhost", "localhost.example.com", false},
		{"name that starts with localhost, no dot", "localhost1", false},
		{"name below localhost", "db.localhost", false},
		{"name that starts with an address", "127.0.0.1.example.com", false},
		{"spaces", " localhost ", false},
		{"port of a name", "localhost:80", false},
		{"port of an address", "127.0.0.1:80", false},
		{"brackets", "[::1]", false},
		{"zone", "::1%lo", false},
		{"zone of a mapped address", "::ffff:127.0.0.1%lo", false},
		{"unspecified IPv4", "0.0.0.0", false},
		{"unspecified IPv6", "::", false},
		{"below 127.0.0.0/8", "126.255.255.255", false},
		{"above 127.0.0.0/8", "128.0.0.0", false},
		{"private", "10.0.0.1", false},
		{"other address mapped to IPv6", "::ffff:10.0.0.1", false},
		{"IPv4-compatible IPv6", "::127.0.0.1", false},
		{"link-local", "fe80::1", false},
		{"short IPv4", "127.1", false},
		{"leading zero, octal for some", "0127.0.0.1", false},
		{"decimal IPv4", "2130706433", false},
		{"unix socket", "/var/run/postgresql", false},
		{"abstract unix socket", "@postgresql", false},
		{"user", "localhost@example.com", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := IsHost(tt.host); got != tt.want {
				t.Errorf("IsHost(%q) = %v, want %v", tt.host, got, tt.want)
			}
		})
	}
}
