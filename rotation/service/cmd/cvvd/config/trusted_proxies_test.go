package config

import (
	"errors"
	"fmt"
	"testing"

	"cvvrotation/sim/must"
)

func TestTrustedProxies_AreAddressesAndPrefixes(t *testing.T) {
	c, _ := good(t)
	c.Listen.TrustedProxies = []string{"10.0.0.7", "10.0.1.0/24", "fd00:1::/64", "::1"}
	must.Do(t, c.Check(t.Context(), All...))
	must.Equal(t, "[10.0.0.7/32 10.0.1.0/24 fd00:1::/64 ::1/128]", fmt.Sprint(must.Get(c.TrustedProxies())(t)))
	for _, bad := range []string{
		"proxy.example", "", "10.0.0", "10.0.0.0/33", "10.0.0.1:8443", "fe80::1%eth0", "fe80::%eth0/64", // no addresses
		"0.0.0.0/0", "::/0", // every address
		"10.0.0.1/24", "fd00:1::1/64", // bits outside the prefix
		"::ffff:10.0.0.1", "::ffff:10.0.0.0/120",
	} {
		t.Run(bad, func(t *testing.T) {
			c.Listen.TrustedProxies = []string{"10.0.0.7", bad}
			wrong, ok := errors.AsType[*FieldError](c.Check(t.Context(), "listen"))
			if !ok || wrong.Field != "listen.trusted_proxies" {
				t.Error(wrong)
			}
		})
	}
}
