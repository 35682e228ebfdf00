package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// good returns a valid configuration whose files are in dir.
func good(t *testing.T) (c Config, dir string) {
	t.Helper()
	dir = t.TempDir()
	c = Default()
	c.Store.Path = filepath.Join(dir, "cvvd.db")
	c.Keys.SealingFile = filepath.Join(dir, "sealing.keys")
	c.Auth.Issuer, c.Auth.Audience, c.Auth.JWKSURL = "https://id.example", "cvv", "https://id.example/jwks.json"
	text := "1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	must.Do(t, os.WriteFile(c.Keys.SealingFile, []byte(text), 0o600))
	return c, dir
}

func jetstreamTo(c *Config) { c.Events.Sink, c.Events.NATSURL = "jetstream", NewSecret("tls://h") }

func TestCheck_AcceptsGoodConfiguration(t *testing.T) {
	c, _ := good(t)
	must.Do(t, c.Check(t.Context(), All...))
}

// shared makes a folder that all users may write.
func shared(t *testing.T, dir string) string {
	t.Helper()
	dir = filepath.Join(dir, "shared")
	must.Do(t, os.Mkdir(dir, 0o700))
	must.Do(t, os.Chmod(dir, 0o777))
	return dir
}

// A field occurs several times, told apart by the spaces behind it.
func TestCheck_MistakeIsOneErrorThatNamesItsField(t *testing.T) {
	whsec := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	const cvk = "0123456789ABCDEFFEDCBA9876543210"
	for field, spoil := range map[string]func(c *Config, dir string){
		"store.kind":     func(c *Config, _ string) { c.Store.Kind = "mysql" },
		"store.path":     func(c *Config, _ string) { c.Store.Path = "" },
		"store.path ":    func(c *Config, d string) { c.Store.Path = filepath.Join(d, "none", "x.db") },
		"store.path  ":   func(c *Config, d string) { os.WriteFile(c.Store.Path, nil, 0o604); os.Chmod(c.Store.Path, 0o604) },
		"store.url_file": func(c *Config, _ string) { c.Store.Kind = "postgres" },
		"store.url":      func(c *Config, _ string) { c.Store.Kind, c.Store.URL = "postgres", NewSecret("host=x") },
		"store.connections": func(c *Config, _ string) {
			c.Store.Kind, c.Store.URL, c.Store.Connections = "postgres", NewSecret("postgres://h/d?sslmode=disable"), -1
		},
		"keys.sealing_file":    func(c *Config, _ string) { c.Keys.SealingFile = "" },
		"keys.sealing_file ":   func(c *Config, d string) { c.Keys.SealingFile = filepath.Join(d, "none") },
		"keys.sealing_file  ":  func(c *Config, _ string) { os.Chmod(c.Keys.SealingFile, 0o644) },
		"keys.sealing_file   ": func(c *Config, d string) { c.Keys.SealingFile = d },
		"keys.sealing_file    ": func(c *Config, d string) {
			c.Keys.SealingFile = filepath.Join(shared(t, d), "sealing.keys")
			os.WriteFile(c.Keys.SealingFile, []byte("1:"+base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600)
		},
		"keys.unwrap_command": func(c *Config, d string) {
			c.Keys.UnwrapCommand = []string{filepath.Join(d, "unwrap")}
			os.WriteFile(c.Keys.UnwrapCommand[0], []byte("#!/bin/sh\ncat\n"), 0o700)
			os.Chmod(c.Keys.UnwrapCommand[0], 0o777)
		},
		"keys.unwrap_command ": func(c *Config, d string) {
			c.Keys.UnwrapCommand = []string{filepath.Join(shared(t, d), "unwrap")}
			os.WriteFile(c.Keys.UnwrapCommand[0], []byte("#!/bin/sh\ncat\n"), 0o700)
		},
		"keys.sealing":     func(c *Config, _ string) { c.Keys.Sealing = NewSecret("1:AAAA") },
		"keys.sealing ":    func(c *Config, _ string) { c.Keys.SealingFile, c.Keys.Sealing = "", NewSecret("1:AAAA") },
		"cvv.kind":         func(c *Config, _ string) { c.CVV.Kind = "guessed" },
		"cvv.digits":       func(c *Config, _ string) { c.CVV.Digits = 5 },
		"cvv.cvk_file":     func(c *Config, _ string) { c.CVV.Kind = "derived" },
		"cvv.cvk":          func(c *Config, _ string) { c.CVV.Kind, c.CVV.CVK = "derived", NewSecret("xyz") },
		"cvv.cvk ":         func(c *Config, _ string) { c.CVV.Kind, c.CVV.CVK = "derived", NewSecret(cvk[:30]) },
		"cvv.expiry_order": func(c *Config, _ string) { c.CVV.Kind, c.CVV.CVK = "derived", NewSecret(cvk) },
		"cvv.prefixes": func(c *Config, _ string) {
			c.CVV.Kind, c.CVV.CVK, c.CVV.ExpiryOrder = "derived", NewSecret(cvk), "YYMM"
			c.CVV.Prefixes = map[string][]string{"acme": {"4123"}, "other": {""}}
		},
		"cvv.pan_digits": func(c *Config, _ string) {
			c.CVV.Kind, c.CVV.CVK, c.CVV.ExpiryOrder, c.CVV.PANDigits = "derived", NewSecret(cvk), "YYMM", 0
		},
		"rules.guard":            func(c *Config, _ string) { c.Rules.Guard.d = -1 },
		"rules.guard_from":       func(c *Config, _ string) { c.Rules.GuardFrom = "never" },
		"engine.grace":           func(c *Config, _ string) { c.Engine.Grace.d = -1 },
		"engine.max_tries":       func(c *Config, _ string) { c.Engine.MaxTries = 0 },
		"engine.max_daily_tries": func(c *Config, _ string) { c.Engine.MaxDailyTries = 1001 },
		"engine.workers":         func(c *Config, _ string) { c.Engine.Workers = 65 },
		"engine.batch":           func(c *Config, _ string) { c.Engine.Batch = 0 },
		"engine.poll":            func(c *Config, _ string) { c.Engine.Poll.d = 0 },
		"engine.sweep":           func(c *Config, _ string) { c.Engine.Sweep.d = 0 },
		"engine.keep_events":     func(c *Config, _ string) { c.Engine.KeepEvents.d = 0 },
		"listen.pci":             func(c *Config, _ string) { c.Listen.PCI = "8443" },
		"listen.pci ":            func(c *Config, _ string) { c.Listen.PCI = "0.0.0.0:8443" },
		"listen.pci  ":           func(c *Config, _ string) { c.Listen.PCI = ":8443" },
		"listen.ops":             func(c *Config, _ string) { c.Listen.Ops = "127.0.0.1:99999" },
		"listen.ops ":            func(c *Config, _ string) { c.Listen.Ops = c.Listen.PCI },
		"listen.tls_cert_file":   func(c *Config, _ string) { c.Listen.TLSKeyFile = "x" },
		"listen.tls_key_file":    func(c *Config, d string) { c.Listen.TLSKeyFile, c.Listen.TLSCertFile = d+"/x", d+"/y" },
		"listen.client_ca_file":  func(c *Config, _ string) { c.Listen.ClientCAFile = "x" },
		"listen.shutdown":        func(c *Config, _ string) { c.Listen.Shutdown = NewDuration(time.Hour) },
		"auth.issuer":            func(c *Config, _ string) { c.Auth.Issuer = "" },
		"auth.audience":          func(c *Config, _ string) { c.Auth.Audience = "" },
		"auth.algorithms":        func(c *Config, _ string) { c.Auth.Algorithms = nil },
		"auth.algorithms ":       func(c *Config, _ string) { c.Auth.Algorithms = []string{"none"} },
		"auth.algorithms  ":      func(c *Config, _ string) { c.Auth.Algorithms = []string{"RS256", "HS256"} },
		"auth.jwks_url":          func(c *Config, _ string) { c.Auth.JWKSURL = "" },
		"auth.jwks_url ":         func(c *Config, _ string) { c.Auth.JWKSURL = "http://id.example/jwks.json" },
		"auth.jwks_url   ":       func(c *Config, _ string) { c.Auth.JWKSURL = "https://user:pw@id.example/jwks.json" },
		"auth.jwks_url    ":      func(c *Config, _ string) { c.Auth.JWKSURL = "https://id.example/jwks.json?token=pw" },
		"tracing.endpoint ":      func(c *Config, _ string) { c.Tracing.Endpoint = "https://user:pw@h/v1/traces" },
		"auth.jwks_url  ":        func(c *Config, _ string) { c.Auth.JWKSFile = "x" },
		"auth.jwks_file":         func(c *Config, d string) { c.Auth.JWKSURL, c.Auth.JWKSFile = "", d+"/none" },
		"auth.tls_ca_file":       func(c *Config, d string) { c.Auth.TLSCAFile = d + "/none" },
		"auth.tls_ca_file ":      func(c *Config, _ string) { c.Auth.TLSCAFile = c.Keys.SealingFile },
		"auth.tls_ca_file  ": func(c *Config, d string) {
			c.Auth.TLSCAFile, c.Auth.JWKSURL, c.Auth.JWKSFile = authority(d), "", d+"/jwks.json"
			os.WriteFile(c.Auth.JWKSFile, []byte(`{"keys":[`+ed25519Key+`]}`), 0o600)
		},
		"listen.client_ca_file ": func(c *Config, d string) {
			c.Listen.TLSCertFile, c.Listen.TLSKeyFile = authority(d), d+"/ca.key"
			c.Listen.ClientCAFile = c.Keys.SealingFile
		},
		"auth.profile":             func(c *Config, _ string) { c.Auth.Profile = "Entra" },
		"auth.audience ":           func(c *Config, _ string) { c.Auth.ClientIDs = []string{"one"} },
		"auth.audience  ":          func(c *Config, _ string) { c.Auth.Profile, c.Auth.ClientIDs = "cognito", []string{"one"} },
		"auth.audience   ":         func(c *Config, _ string) { c.Auth.Profile, c.Auth.Audience = "okta", "" },
		"auth.client_ids":          func(c *Config, _ string) { c.Auth.Profile, c.Auth.Audience = "cognito", "" },
		"auth.client_ids ":         func(c *Config, _ string) { c.Auth.Audience, c.Auth.ClientIDs = "", []string{"one", ""} },
		"auth.client_ids  ":        func(c *Config, _ string) { c.Auth.Profile, c.Auth.ClientIDs = "okta", []string{"one"} },
		"auth.scope_prefix":        func(c *Config, _ string) { c.Auth.ScopePrefix = "api" },
		"auth.scope_prefix ":       func(c *Config, _ string) { c.Auth.ScopePrefix = "a b/" },
		"auth.max_lifetime":        func(c *Config, _ string) { c.Auth.MaxLifetime.d = time.Second },
		"auth.max_lifetime ":       func(c *Config, _ string) { c.Auth.MaxLifetime.d = -time.Hour },
		"auth.max_lifetime  ":      func(c *Config, _ string) { c.Auth.MaxLifetime.d = 8761 * time.Hour },
		"auth.token_type":          func(c *Config, _ string) { c.Auth.TokenType = "at jwt" },
		"auth.token_type ":         func(c *Config, _ string) { c.Auth.TokenType = "text/at+jwt" },
		"auth.leeway":              func(c *Config, _ string) { c.Auth.Leeway.d = -1 },
		"limits.card_per_second":   func(c *Config, _ string) { c.Limits.CardPerSecond = -1 },
		"limits.card_burst":        func(c *Config, _ string) { c.Limits.CardBurst = 0 },
		"limits.caller_burst":      func(c *Config, _ string) { c.Limits.CallerBurst = 0 },
		"limits.caller_per_second": func(c *Config, _ string) { c.Limits.CallerPerSecond = 1e9 },
		"limits.request":           func(c *Config, _ string) { c.Limits.Request.d = 0 },
		"events.source":            func(c *Config, _ string) { c.Events.Source = "" },
		"events.sink":              func(c *Config, _ string) { c.Events.Sink = "kafka" },
		"events.file":              func(c *Config, _ string) { c.Events.Sink, c.Events.File = "jsonl", "" },
		"events.file ":             func(c *Config, d string) { c.Events.Sink, c.Events.File = "jsonl", d+"/none/x" },
		"events.webhook_url": func(c *Config, _ string) {
			c.Events.Sink, c.Events.WebhookURL, c.Events.WebhookSecret = "webhook", NewSecret("h"), NewSecret(whsec)
		},
		"events.webhook_secret_file": func(c *Config, _ string) { c.Events.Sink, c.Events.WebhookURL = "webhook", NewSecret("https://h") },
		"events.nats_url_file":       func(c *Config, _ string) { c.Events.Sink = "jetstream" },
		"events.nats_url":            func(c *Config, _ string) { c.Events.Sink, c.Events.NATSURL = "jetstream", NewSecret("http://h") },
		"events.nats_prefix": func(c *Config, _ string) {
			c.Events.Sink, c.Events.NATSURL, c.Events.NATSPrefix = "jetstream", NewSecret("nats://h,tls://i"), ""
		},
		"events.nats_credentials":  func(c *Config, d string) { jetstreamTo(c); c.Events.NATSCredentials = d + "/none" },
		"events.nats_credentials ": func(c *Config, _ string) { jetstreamTo(c); c.Events.NATSCredentials = c.Keys.SealingFile },
		"events.tls_ca_file":       func(c *Config, d string) { jetstreamTo(c); c.Events.TLSCAFile = d + "/none" },
		"events.tls_ca_file ":      func(c *Config, _ string) { jetstreamTo(c); c.Events.TLSCAFile = c.Keys.SealingFile },
		"events.tls_cert_file":     func(c *Config, _ string) { jetstreamTo(c); c.Events.TLSCertFile = "x" },
		"events.tls_cert_file ":    func(c *Config, _ string) { jetstreamTo(c); c.Events.TLSKeyFile = "x" },
		"events.tls_cert_file  ": func(c *Config, d string) {
			jetstreamTo(c)
			c.Events.TLSCertFile, c.Events.TLSKeyFile = d+"/none", c.Keys.SealingFile
		},
		"events.tls_key_file": func(c *Config, d string) { jetstreamTo(c); c.Events.TLSCertFile, c.Events.TLSKeyFile = "x", d+"/none" },
		"events.webhook_secret": func(c *Config, _ string) {
			c.Events.Sink, c.Events.WebhookURL, c.Events.WebhookSecret = "webhook", NewSecret("https://h"), NewSecret("whsec_x")
		},
		"listen.drain": func(c *Config, _ string) { c.Listen.Drain = c.Listen.Shutdown },
		"store.background": func(c *Config, _ string) {
			c.Store.Kind, c.Store.URL, c.Store.Background = "postgres", NewSecret("postgres://h/d?sslmode=disable"), 2
		},
		"store.background ": func(c *Config, _ string) {
			c.Store.Kind, c.Store.URL, c.Engine.Workers = "postgres", NewSecret("postgres://h/d?sslmode=disable"), 3
		},
		"store.url ": func(c *Config, _ string) { c.Store.Kind, c.Store.URL = "postgres", NewSecret("postgres://u:p%@h/d") },
		"store.url  ": func(c *Config, _ string) {
			c.Store.Kind, c.Store.URL = "postgres", NewSecret("postgres://db.example/d")
		},
		"store.url   ": func(c *Config, _ string) {
			c.Store.Kind, c.Store.URL = "postgres", NewSecret("postgres://127.0.0.1/d?synchronous_commit=off")
		},
		"auth.jwks_file ": func(c *Config, d string) {
			c.Auth.JWKSURL, c.Auth.JWKSFile = "", d+"/jwks.json"
			os.WriteFile(c.Auth.JWKSFile, []byte(`{"keys":[]}`), 0o600)
		},
		"events.webhook_url ": func(c *Config, _ string) {
			c.Events.Sink, c.Events.WebhookURL, c.Events.WebhookSecret = "webhook", NewSecret("http://h.example"), NewSecret(whsec)
		},
		"events.max_attempts": func(c *Config, _ string) { c.Events.MaxAttempts = 0 },
		"events.max_backoff":  func(c *Config, _ string) { c.Events.MaxBackoff.d = 0 },
		"log.level":           func(c *Config, _ string) { c.Log.Level = "loud" },
		"log.audit_file ":     func(c *Config, d string) { c.Log.AuditFile = "-" },
		"log.audit_file":      func(c *Config, d string) { c.Log.AuditFile = d + "/none/x" },
		"log.format":          func(c *Config, _ string) { c.Log.Format = "xml" },
		"tracing.endpoint":    func(c *Config, _ string) { c.Tracing.Endpoint = "localhost:4318" },
		"tracing.endpoint  ":  func(c *Config, _ string) { c.Tracing.Endpoint = "http://collector.example:4318/v1/traces" },
		"listen.ops  ":        func(c *Config, _ string) { c.Listen.Ops = "0.0.0.0:9090" },
		"listen.ops   ":       func(c *Config, _ string) { c.Listen.Ops = ":9090" },
		"listen.ops    ":      func(c *Config, _ string) { c.Listen.Ops = "ops.example:9090" },
		"events.nats_url ":    func(c *Config, _ string) { jetstreamTo(c); c.Events.NATSURL = NewSecret("nats://h:4222") },
		"events.nats_url  ":   func(c *Config, _ string) { jetstreamTo(c); c.Events.NATSURL = NewSecret("nats://localhost,ws://h") },
		"events.nats_url   ": func(c *Config, _ string) {
			jetstreamTo(c)
			c.Events.NATSURL = NewSecret("nats://user:pw@h,nats://127.0.0.1")
		},
		"auth.jwks_url     ": func(c *Config, _ string) { c.Auth.JWKSURL = "http://10.0.0.1/jwks.json" },
		"auth.jwks_file  ": func(c *Config, d string) {
			c.Auth.JWKSURL, c.Auth.JWKSFile = "", writable(authority(d), d+"/jwks.json", `{"keys":[`+ed25519Key+`]}`)
		},
		"listen.client_ca_file  ": func(c *Config, d string) {
			c.Listen.TLSCertFile, c.Listen.TLSKeyFile = authority(d), d+"/ca.key"
			c.Listen.ClientCAFile = writable(d+"/ca.pem", d+"/clients.pem", "")
		},
		"auth.tls_ca_file   ":  func(c *Config, d string) { c.Auth.TLSCAFile = writable(authority(d), d+"/w.pem", "") },
		"events.tls_ca_file  ": func(c *Config, d string) { jetstreamTo(c); c.Events.TLSCAFile = writable(authority(d), d+"/w.pem", "") },
		"log.audit_file  ":     func(c *Config, d string) { c.Log.AuditFile = writable(authority(d), d+"/audit", "") },
		"log.audit_file   ": func(c *Config, d string) {
			os.Mkdir(d+"/shared", 0o700)
			os.Chmod(d+"/shared", 0o777)
			c.Log.AuditFile = d + "/shared/audit"
		},
		"log.audit_file    ": func(c *Config, d string) {
			os.Mkdir(d+"/shared", 0o700)
			os.Chmod(d+"/shared", 0o777|os.ModeSticky) // another user could create the file
			c.Log.AuditFile = d + "/shared/audit"
		},
		"log.audit_file     ": func(c *Config, d string) {
			c.Log.AuditFile = d + "/link"
			os.Symlink(writable(authority(d), d+"/audit", ""), c.Log.AuditFile)
		},
		"tracing.sampling_ratio": func(c *Config, _ string) { c.Tracing.SamplingRatio = 0 },
	} {
		t.Run(field, func(t *testing.T) {
			c, dir := good(t)
			spoil(&c, dir)
			err := c.Check(t.Context(), All...)
			all, ok := err.(interface{ Unwrap() []error })
			if !ok || len(all.Unwrap()) != 1 {
				t.Fatalf("%v, want one error", err)
			}
			var named *FieldError
			if !errors.As(err, &named) || named.Field != strings.TrimSpace(field) {
				t.Error(err)
			}
		})
	}
}

// A replaced client certificate is presented on the next connection; a deleted one is
// an error then.
func TestSinkTLS_ReloadsClientCertificateForEachConnection(t *testing.T) {
	c, dir := good(t)
	if got, err := c.SinkTLS(); got != nil || err != nil {
		t.Error(got, err)
	}
	c.Events.TLSCertFile, c.Events.TLSKeyFile = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	c.Events.TLSCAFile = c.Events.TLSCertFile
	first := certify(t, &c)
	got, err := c.SinkTLS()
	if err != nil || !got.RootCAs.Equal(first) {
		t.Fatal(err)
	}
	for range 2 {
		presented := must.Get(got.GetClientCertificate(nil))(t)
		pool := x509.NewCertPool()
		pool.AddCert(presented.Leaf)
		if !pool.Equal(first) {
			t.Error("another certificate is presented")
		}
		first = certify(t, &c)
	}
	must.Do(t, os.Remove(c.Events.TLSKeyFile))
	if _, err := got.GetClientCertificate(nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	certify(t, &c)
	must.Do(t, os.Chmod(c.Events.TLSKeyFile, 0o644))
	var named *FieldError
	if _, err := c.SinkTLS(); !errors.As(err, &named) || named.Field != "events.tls_key_file" {
		t.Error("a key that everybody can read:", err)
	}
}

const ed25519Key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

// TestCheck_AcceptsWhatASettingAllows: the settings that say so.
func TestCheck_AcceptsWhatASettingAllows(t *testing.T) {
	for name, change := range map[string]func(c *Config, dir string){
		"ops":             func(c *Config, _ string) { c.Listen.Ops, c.Listen.OpsPlaintext = ":9090", true },
		"ops on loopback": func(c *Config, _ string) { c.Listen.Ops = "[::1]:9090" },
		"NATS": func(c *Config, _ string) {
			jetstreamTo(c)
			c.Events.NATSURL, c.Events.NATSPlaintext = NewSecret("nats://h"), true
		},
		"NATS on loopback": func(c *Config, _ string) {
			jetstreamTo(c)
			c.Events.NATSURL = NewSecret("nats://127.0.0.1:4222,nats://[::1]")
		},
		"NATS, one TLS URL": func(c *Config, _ string) { jetstreamTo(c); c.Events.NATSURL = NewSecret("nats://h,tls://i") },
		"NATS, TLS files": func(c *Config, d string) {
			jetstreamTo(c)
			c.Events.NATSURL, c.Events.TLSCAFile = NewSecret("nats://h"), authority(d)
		},
		"tracing":             func(c *Config, _ string) { c.Tracing.Endpoint, c.Tracing.Plaintext = "http://h/v1/traces", true },
		"tracing on loopback": func(c *Config, _ string) { c.Tracing.Endpoint = "http://localhost:4318/v1/traces" },
		"tracing with TLS":    func(c *Config, _ string) { c.Tracing.Endpoint = "https://h/v1/traces" },
		"a new audit file":    func(c *Config, d string) { c.Log.AuditFile = d + "/audit" },
		"no audit file":       func(c *Config, _ string) { c.Log.AuditFile = "" },
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := good(t)
			change(&c, dir)
			must.Do(t, c.Check(t.Context(), All...))
		})
	}
}

func TestLoad_RefusesFileThatOthersMayWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cvvd.toml")
	must.Do(t, os.WriteFile(name, nil, 0o600))
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o664: true, 0o666: false, 0o602: false} {
		must.Do(t, os.Chmod(name, mode))
		if _, err := Load(name, nil); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "run chmod o-w "+name) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestWarnings_ReportUnverifiedDatabase(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://db.example/d?sslmode=require":     "sslmode=require",
		"postgres://db.example/d?sslmode=disable":     "sslmode=disable",
		"postgres://db.example/d?sslmode=verify-full": "",
		"postgres://db.example/d":                     "", // an error
		"postgres://127.0.0.1/d?sslmode=require":      "",
	} {
		t.Run(url, func(t *testing.T) {
			c, _ := good(t)
			if len(c.Warnings()) > 0 {
				t.Error("a warning about SQLite")
			}
			c.Store.Kind, c.Store.URL = "postgres", NewSecret(url)
			got := c.Warnings()
			if (len(got) == 1) != (want != "") || len(got) == 1 && (got[0].Field != "store.url" || !strings.Contains(got[0].Detail, want)) {
				t.Errorf("%v, want %q", got, want)
			}
		})
	}
}

// Without cvv.kind = "derived" the CVVs are random, whatever else is set.
func TestWarnings_ReportSettingsOfDerivedCVVsWithoutEffect(t *testing.T) {
	for name, set := range map[string]func(*CVV){
		"cvv.cvk":              func(c *CVV) { c.CVK = NewSecret("0123456789ABCDEFFEDCBA9876543210") },
		"cvv.cvk_file":         func(c *CVV) { c.CVKFile = "cvk.key" },
		"cvv.expiry_order":     func(c *CVV) { c.ExpiryOrder = "YYMM" },
		"cvv.prefixes":         func(c *CVV) { c.Prefixes = map[string][]string{"acme": {"4"}} },
		"cvv.allow_cvv2_codes": func(c *CVV) { c.AllowCVV2Codes = true },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := good(t)
			set(&c.CVV)
			must.Equal(t, "["+name+`: has no effect: CVVs are random unless cvv.kind = "derived"]`, fmt.Sprint(c.Warnings()))
		})
	}
}

// After an upgrade without cvv.prefixes nothing can be registered.
func TestWarnings_ReportDerivedCVVsWithoutPrefixes(t *testing.T) {
	for _, test := range []struct {
		kind     string
		prefixes map[string][]string
		want     string
	}{
		{"random", nil, "[]"},
		{"derived", nil, "[cvv.prefixes: is empty: no card can be registered]"},
		{"derived", map[string][]string{}, "[cvv.prefixes: is empty: no card can be registered]"},
		{"derived", map[string][]string{"acme": {"4"}}, "[]"},
		{"derived", map[string][]string{"acme": {"41", "42"}, "beta": {"43"}}, "[]"},
		{"derived", map[string][]string{"acme": {"41", "412"}}, "[]"}, // of one account
		{"derived", map[string][]string{"acme": {"5", "41"}, "beta": {"4123"}}, "[cvv.prefixes: acme may register cards of beta: 4123 is under 41]"},
		{"derived", map[string][]string{"acme": {"41"}, "beta": {"41"}}, "[cvv.prefixes: acme may register cards of beta: 41 is under 41]"},
	} {
		t.Run(fmt.Sprint(test.kind, test.prefixes), func(t *testing.T) {
			c, _ := good(t)
			c.CVV.Kind, c.CVV.Prefixes = test.kind, test.prefixes
			must.Equal(t, test.want, fmt.Sprint(c.Warnings()))
		})
	}
}

// writable copies a file to one that all users may write, with the text unless that is
// "", and returns its name.
func writable(from, to, text string) string {
	b, _ := os.ReadFile(from)
	if text != "" {
		b = []byte(text)
	}
	os.WriteFile(to, b, 0o600)
	os.Chmod(to, 0o646)
	return to
}

// authority writes the certificate ca.pem of an authority and its key ca.key, and
// returns the name of the former.
func authority(dir string) string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	cert, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	os.WriteFile(dir+"/ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600)
	os.WriteFile(dir+"/ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	return dir + "/ca.pem"
}

// certify writes a client certificate and its key, and returns it.
func certify(t *testing.T, c *Config) *x509.CertPool {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert := must.Get(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	private := must.Get(x509.MarshalPKCS8PrivateKey(key))(t)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for file, b := range map[string][]byte{c.Events.TLSCertFile: text, c.Events.TLSKeyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		must.Do(t, os.WriteFile(file, b, 0o600))
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}
