package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/service/internal/filemode"
	"cvvrotation/rotation/service/internal/loopback"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/rotation/service/postgres"
)

// Sections of the file that a command needs.
var (
	// Stored lists the sections that commands on the store need.
	Stored = []string{"store", "keys", "cvv", "rules", "engine", "log"}
	// All lists the sections that the daemon needs.
	All = append(slices.Clone(Stored), "listen", "auth", "limits", "events", "tracing")
)

// Check checks the sections: values, files and their permissions, keys and their
// lengths, addresses. It opens no connection. The error joins a *FieldError for each
// problem.
func (c *Config) Check(ctx context.Context, sections ...string) error {
	var p problems
	for _, s := range sections {
		switch s {
		case "store":
			c.checkStore(&p)
		case "keys": // and the generator that uses them
			_, err := c.Generator(ctx)
			p.add(err)
		case "cvv":
			p.oneOf("cvv.kind", c.CVV.Kind, "random", "derived")
		case "rules":
			_, err := c.RotationRules()
			p.add(err)
		case "engine":
			c.checkEngine(&p)
		case "listen":
			c.checkListen(&p)
		case "auth":
			c.checkAuth(&p)
		case "limits":
			c.checkLimits(&p)
		case "events":
			c.checkEvents(&p)
		case "log":
			_, err := c.Level()
			p.add(err)
			p.oneOf("log.format", c.Log.Format, "json", "text")
			p.need("log.audit_file", c.Log.AuditFile != "-", "must be a file, or empty for standard error")
			p.wrong("log.audit_file", c.CheckAuditFile())
		case "tracing":
			if c.Tracing.Endpoint != "" {
				p.isURL("tracing.endpoint", c.Tracing.Endpoint, "http", "https")
				p.isPublic("tracing.endpoint", c.Tracing.Endpoint)
				p.need("tracing.endpoint", c.Tracing.Plaintext || !isPlaintext(c.Tracing.Endpoint, "http"), "is not encrypted outside loopback: use https, or set tracing.plaintext = true")
			}
			p.need("tracing.sampling_ratio", c.Tracing.SamplingRatio > 0 && c.Tracing.SamplingRatio <= 1, "must be in (0, 1]")
		}
	}
	return errors.Join(p...)
}

// problems collects errors. Some may be nil, which errors.Join ignores.
type problems []error

func (p *problems) add(err error) { *p = append(*p, err) }

// wrong adds a setting's error. It ignores nil.
func (p *problems) wrong(field string, err error) {
	if err != nil {
		p.add(&FieldError{field, err.Error()})
	}
}

func (p *problems) need(field string, ok bool, detail string) {
	if !ok {
		p.add(&FieldError{field, detail})
	}
}

func (p *problems) oneOf(field, value string, known ...string) {
	if !slices.Contains(known, value) {
		p.add(&FieldError{field, fmt.Sprintf("must be one of %s, not %q", strings.Join(known, ", "), value)})
	}
}

// isURL does not quote the value, because a URL may contain a password.
func (p *problems) isURL(field, value string, schemes ...string) {
	u, err := url.Parse(value)
	p.need(field, err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme), "must be a URL that begins with "+strings.Join(schemes, ":// or ")+"://")
}

// isSafeURL requires encryption outside loopback.
func (p *problems) isSafeURL(field, value string) {
	u, err := url.Parse(value)
	p.need(field, err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback.IsHost(u.Hostname())), "must be an https URL (http on loopback only)")
}

// isPlaintext reports whether the URL has one of the schemes, which do not encrypt, and
// leads to another machine.
func isPlaintext(value string, schemes ...string) bool {
	u, err := url.Parse(value)
	return err == nil && slices.Contains(schemes, u.Scheme) && u.Host != "" && !loopback.IsHost(u.Hostname())
}

// natsEncrypted reports whether all connections to other machines use TLS. One TLS URL
// or a TLS file makes the client require it of all servers.
func (c *Config) natsEncrypted(urls string) bool {
	secured := c.Events.TLSCAFile != "" || c.Events.TLSCertFile != ""
	plain := false
	for one := range strings.SplitSeq(urls, ",") {
		one = strings.TrimSpace(one)
		plain = plain || isPlaintext(one, "nats", "ws")
		secured = secured || strings.HasPrefix(one, "tls://") || strings.HasPrefix(one, "wss://")
	}
	return secured || !plain
}

// CheckAuditFile returns an error if all users of the machine may write the audit log,
// or put a file of theirs in its place. The file need not exist yet.
func (c *Config) CheckAuditFile() error {
	if c.Log.AuditFile == "" {
		return nil
	}
	if err := filemode.NotWritable(filepath.Dir(c.Log.AuditFile)); err != nil {
		return err
	}
	if err := filemode.Trusted(c.Log.AuditFile); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Warnings returns settings that are accepted, but weaken the security of the service or
// are likely a mistake.
func (c *Config) Warnings() (all []*FieldError) {
	all = c.CVV.warnings()
	if text, err := c.PostgresURL(); c.Store.Kind == "postgres" && err == nil {
		if weakness := postgres.Weakness(text); weakness != "" {
			all = append(all, &FieldError{"store.url", weakness})
		}
	}
	return all
}

func (c *CVV) warnings() (all []*FieldError) {
	if c.Kind == "derived" {
		if len(c.Prefixes) == 0 {
			all = append(all, &FieldError{"cvv.prefixes", "is empty: no card can be registered"})
		}
		return append(all, c.sharedPrefixes()...)
	}
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"cvk", c.CVK.IsSet()}, {"cvk_file", c.CVKFile != ""}, {"expiry_order", c.ExpiryOrder != ""},
		{"prefixes", len(c.Prefixes) > 0}, {"allow_cvv2_codes", c.AllowCVV2Codes},
	} {
		if setting.set {
			all = append(all, &FieldError{"cvv." + setting.name, `has no effect: CVVs are random unless cvv.kind = "derived"`})
		}
	}
	return all
}

// sharedPrefixes returns a warning for each prefix that is under one of another account,
// which may thus register that account's cards.
func (c *CVV) sharedPrefixes() (all []*FieldError) {
	accounts := slices.Sorted(maps.Keys(c.Prefixes))
	for i, a := range accounts {
		for j, b := range accounts {
			for _, outer := range c.Prefixes[a] {
				for _, inner := range c.Prefixes[b] {
					if i != j && strings.HasPrefix(inner, outer) && (inner != outer || i < j) {
						all = append(all, &FieldError{"cvv.prefixes", fmt.Sprintf("%s may register cards of %s: %s is under %s", a, b, inner, outer)})
					}
				}
			}
		}
	}
	return all
}

// isPublic requires that a URL which listings show contains no secret.
func (p *problems) isPublic(field, value string) {
	if u, err := url.Parse(value); err == nil && u.Host != "" { // an invalid URL is reported elsewhere
		p.need(field, u.User == nil && !hasPassword(value), "must not contain a user, password or token, because it is printed")
	}
}

func (p *problems) address(field, value string) (local bool) {
	host, port, err := net.SplitHostPort(value)
	n, numErr := strconv.Atoi(port)
	if err != nil || numErr != nil || n < 0 || n > 65535 {
		p.add(&FieldError{field, fmt.Sprintf("must be an address, host:port, such as 127.0.0.1:8443, not %q", value)})
		return true
	}
	return loopback.IsHost(host)
}

func (c *Config) checkStore(p *problems) {
	switch c.Store.Kind {
	case "sqlite":
		if c.Store.Path == "" {
			p.add(&FieldError{"store.path", "is required"})
			return
		}
		dir := filepath.Dir(c.Store.Path)
		if info, err := os.Stat(dir); err != nil {
			p.add(&FieldError{"store.path", err.Error()})
		} else if !info.IsDir() {
			p.add(&FieldError{"store.path", dir + " is not a directory"})
		}
		if _, err := os.Stat(c.Store.Path); err == nil {
			p.wrong("store.path", filemode.Private(c.Store.Path))
		}
	case "postgres":
		text, err := c.PostgresURL()
		if err != nil {
			p.add(err)
			return
		}
		p.wrong("store.url", postgres.CheckURL(text))
	default:
		p.oneOf("store.kind", c.Store.Kind, "sqlite", "postgres")
	}
	p.need("store.connections", c.Store.Connections >= 1 && c.Store.Connections <= 1000, "must be 1 to 1000")
	p.need("store.background", c.Store.Background >= 3 && c.Store.Background <= 1000, "must be 3 to 1000")
}

func (c *Config) checkEngine(p *problems) {
	e := &c.Engine
	p.need("engine.grace", e.Grace.d >= 0 && e.Grace.d <= 24*time.Hour, "must be 0s to 24h")
	p.need("engine.max_tries", e.MaxTries >= 1 && e.MaxTries <= 1000, "must be 1 to 1000")
	p.need("engine.max_daily_tries", e.MaxDailyTries >= 1 && e.MaxDailyTries <= 1000, "must be 1 to 1000")
	p.need("engine.workers", e.Workers >= 1 && e.Workers <= 64, "must be 1 to 64")
	if c.Store.Kind == "postgres" {
		p.need("store.background", c.Store.Background < 3 || c.Store.Background >= e.Workers+2, fmt.Sprintf("must be at least %d: engine.workers + 2", e.Workers+2))
	}
	p.need("engine.batch", e.Batch >= 1 && e.Batch <= 10000, "must be 1 to 10000")
	p.need("engine.poll", e.Poll.d >= 10*time.Millisecond && e.Poll.d <= time.Hour, "must be 10ms to 1h")
	p.need("engine.sweep", e.Sweep.d >= time.Second, "must be at least 1s")
	p.need("engine.keep_events", e.KeepEvents.d >= time.Minute, "must be at least 1m")
}

func (c *Config) checkListen(p *problems) {
	l := &c.Listen
	local := p.address("listen.pci", l.PCI)
	opsLocal := p.address("listen.ops", l.Ops)
	p.need("listen.ops", opsLocal || l.OpsPlaintext, "is outside loopback, but has neither TLS nor authentication: use a loopback address, or set listen.ops_plaintext = true if only its readers can reach it")
	_, port, _ := net.SplitHostPort(l.PCI)
	p.need("listen.ops", l.Ops != l.PCI || port == "0", "must differ from listen.pci")
	switch {
	case l.TLSCertFile != "" && l.TLSKeyFile != "":
		_, err := c.ServerCertificate()
		p.add(err)
		_, err = c.ClientAuthorities()
		p.add(err)
	case l.TLSCertFile != "" || l.TLSKeyFile != "":
		p.add(&FieldError{"listen.tls_cert_file", "must be set together with tls_key_file"})
	case l.ClientCAFile != "":
		p.add(&FieldError{"listen.client_ca_file", "requires tls_cert_file and tls_key_file"})
	default:
		p.need("listen.pci", local || l.Plaintext, "an address outside loopback requires tls_cert_file and tls_key_file, or plaintext = true if a proxy in front terminates TLS")
	}
	_, err := c.TrustedProxies()
	p.add(err)
	p.need("listen.drain", l.Drain.d >= 0 && l.Drain.d < l.Shutdown.d, "must be at least 0s and less than listen.shutdown")
	p.need("listen.shutdown", l.Shutdown.d >= time.Second && l.Shutdown.d <= 10*time.Minute, "must be 1s to 10m")
}

func (c *Config) checkLimits(p *problems) {
	l := &c.Limits
	p.need("limits.card_per_second", l.CardPerSecond >= 0 && l.CardPerSecond <= 1e6, "must be 0 to 1000000")
	p.need("limits.card_burst", l.CardPerSecond == 0 || l.CardBurst >= 1, "must be at least 1")
	p.need("limits.caller_per_second", l.CallerPerSecond >= 0 && l.CallerPerSecond <= 1e6, "must be 0 to 1000000")
	p.need("limits.caller_burst", l.CallerPerSecond == 0 || l.CallerBurst >= 1, "must be at least 1")
	p.need("limits.request", l.Request.d >= 100*time.Millisecond && l.Request.d <= 5*time.Minute, "must be 100ms to 5m")
}

func (c *Config) checkEvents(p *problems) {
	e := &c.Events
	_, err := url.Parse(e.Source)
	p.need("events.source", err == nil && e.Source != "", "must be a URI reference, such as /cvvrotation")
	p.need("events.max_attempts", e.MaxAttempts >= 1 && e.MaxAttempts <= 1000, "must be 1 to 1000")
	p.need("events.max_backoff", e.MaxBackoff.d >= time.Second, "must be at least 1s")
	switch e.Sink {
	case "none":
	case "jsonl":
		if e.File == "" {
			p.add(&FieldError{"events.file", "is required; use - for standard output"})
		} else if e.File != "-" {
			_, err := os.Stat(filepath.Dir(e.File))
			p.wrong("events.file", err)
		}
	case "webhook":
		if text, err := c.WebhookURL(); err != nil {
			p.add(err)
		} else {
			p.isSafeURL("events.webhook_url", text)
		}
		_, err := c.WebhookSecrets()
		p.add(err)
	case "jetstream":
		if text, err := c.NATSURL(); err != nil {
			p.add(err)
		} else {
			for one := range strings.SplitSeq(text, ",") {
				p.isURL("events.nats_url", one, "nats", "tls", "ws", "wss")
			}
			p.need("events.nats_url", e.NATSPlaintext || c.natsEncrypted(text), "is not encrypted outside loopback: use tls://, or set events.nats_plaintext = true")
		}
		p.need("events.nats_stream", e.NATSStream != "", "is required")
		p.need("events.nats_prefix", e.NATSPrefix != "", "is required")
		if e.NATSCredentials != "" {
			err := filemode.Secret(e.NATSCredentials)
			if err == nil {
				err = jetstream.CheckCredentials(e.NATSCredentials)
			}
			p.wrong("events.nats_credentials", err)
		}
	default:
		p.oneOf("events.sink", e.Sink, "none", "jsonl", "webhook", "jetstream")
	}
	if e.Sink == "webhook" || e.Sink == "jetstream" {
		_, err := c.SinkTLS()
		p.add(err)
	}
}

// TrustedProxies returns the prefixes of listen.trusted_proxies.
func (c *Config) TrustedProxies() (list []netip.Prefix, err error) {
	for _, text := range c.Listen.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		switch {
		case err != nil:
			return nil, &FieldError{"listen.trusted_proxies", fmt.Sprintf("must be addresses without a zone, and prefixes such as 10.0.0.0/24, not %q", text)}
		case prefix.Addr().Is4In6():
			return nil, &FieldError{"listen.trusted_proxies", fmt.Sprintf("%s: write an IPv4 address as such", text)}
		case prefix.Bits() == 0:
			return nil, &FieldError{"listen.trusted_proxies", text + " is every address: then any caller could choose the address in the logs"}
		case prefix != prefix.Masked():
			return nil, &FieldError{"listen.trusted_proxies", fmt.Sprintf("%s has bits outside the prefix: write %s or %s", text, prefix.Masked(), prefix.Addr())}
		}
		list = append(list, prefix)
	}
	return list, nil
}

// RotationRules returns the rules that the section [rules] sets.
func (c *Config) RotationRules() (rotation.Rules, error) {
	var from rotation.GuardFrom
	if err := from.UnmarshalText([]byte(c.Rules.GuardFrom)); err != nil {
		return rotation.Rules{}, &FieldError{"rules.guard_from", fmt.Sprintf("must be one of request, scheduling, not %q", c.Rules.GuardFrom)}
	}
	rules, err := rotation.NewRules(c.Rules.Guard.d, from)
	if err != nil {
		return rotation.Rules{}, &FieldError{"rules.guard", err.Error()}
	}
	return rules, nil
}

// Level returns the minimum level of logs.
func (c *Config) Level() (level slog.Level, err error) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return 0, &FieldError{"log.level", fmt.Sprintf("must be one of debug, info, warn, error, not %q", c.Log.Level)}
	}
	return level, level.UnmarshalText([]byte(c.Log.Level))
}
