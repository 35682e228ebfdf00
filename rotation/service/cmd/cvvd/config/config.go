// Package config holds the daemon's configuration: one TOML file, which environment
// variables override, checked as a whole.
//
// The tags of [Config] document each setting, [Default] returns the defaults, and
// [WriteExample] writes both. Secrets come from separate files or from the
// environment, never from the configuration file; no error and no listing contains
// one.
package config

import (
	"time"

	"cvvrotation/rotation/engine/event"
)

// Config is the configuration. Its zero value is invalid: start from [Default].
//
// The tag toml is a setting's name in the file, doc its documentation. The tag secret
// marks a setting that the file must not contain.
type Config struct {
	Store   Store   `toml:"store" doc:"Where cards and events are stored."`
	Keys    Keys    `toml:"keys" doc:"Keys that encrypt what is stored (XAES-256-GCM). Each key has an id from 1 to 4294967295; never reuse an id.\nFile and variable hold one ID:BASE64 per line or word: the current key first, then previous keys, which only decrypt.\nTo create a key in a file that only you can read:\n(umask 077; echo \"1:$(openssl rand -base64 32)\" > sealing.keys)"`
	CVV     CVV     `toml:"cvv" doc:"How CVVs are generated."`
	Rules   Rules   `toml:"rules" doc:"The rotation rules (docs/rules.md)."`
	Engine  Engine  `toml:"engine" doc:"The engine that rotates due cards."`
	Listen  Listen  `toml:"listen" doc:"Listen addresses. The PCI side serves the card endpoint; the operations side serves /metrics, /healthz, /readyz, the status page and the history of each card."`
	Auth    Auth    `toml:"auth" doc:"Who may call the endpoint: callers with a bearer token (JWT) of one issuer."`
	Limits  Limits  `toml:"limits" doc:"Rate limits and timeout of the endpoint. Each process counts separately."`
	Events  Events  `toml:"events" doc:"Delivery of the event \"Card CVV changed\"."`
	Log     Log     `toml:"log" doc:"Logs, and audit records: who changed which card or revealed its CVV. Logs go to standard error."`
	Tracing Tracing `toml:"tracing" doc:"OpenTelemetry traces."`
}

// Store is the section [store].
type Store struct {
	Kind        string `toml:"kind" doc:"Database. sqlite: one file, one machine. postgres: any number of replicas."`
	Path        string `toml:"path" doc:"sqlite: database file. SQLite creates further files, PATH-*, beside it."`
	URL         Secret `toml:"url" doc:"postgres: URL, such as postgres://user@host/database?sslmode=verify-full. A URL with a password must be in CVVD_STORE_URL or url_file."`
	URLFile     string `toml:"url_file" doc:"postgres: file that contains the URL, instead of url."`
	Connections int    `toml:"connections" doc:"postgres: maximum number of connections for callers' requests, 1 to 1000."`
	Background  int    `toml:"background" doc:"postgres: maximum number of connections for claims, events and lists, 3 to 1000: at least engine.workers + 2."`
}

// Keys is the section [keys].
type Keys struct {
	Sealing       Secret   `toml:"sealing" doc:"Sealing keys." secret:"true"`
	SealingFile   string   `toml:"sealing_file" doc:"File that contains the sealing keys."`
	UnwrapCommand []string `toml:"unwrap_command" doc:"Command that decrypts sealing_file and cvv.cvk_file with a KMS or an HSM, one after the other, at start and in cvvd config check: program and arguments, without a shell. It reads the file's content from standard input and prints the keys; 10s at most. Its environment lacks the variables CVVD_*.\nSuch as [\"age\", \"--decrypt\", \"--identity\", \"/etc/cvvd/age.key\"]. Empty: the files are not encrypted."`
}

// CVV is the section [cvv].
type CVV struct {
	Kind        string `toml:"kind" doc:"random: drawn at random and stored encrypted. derived: computed from PAN, expiry and service code, and not stored; this needs DES, which GODEBUG=fips140=only forbids."`
	Digits      int    `toml:"digits" doc:"Number of digits of a CVV: 3 or 4 if random, 3 to 5 if derived."`
	CVK         Secret `toml:"cvk" doc:"derived: pair of card verification keys, 32 hexadecimal digits, each byte with odd parity. The pair must serve nothing but these cards: CVV, CVV2 and iCVV are one algorithm with different service codes, so with a pair that serves the magnetic stripe or the chip too, choosing a service code is computing those values." secret:"true"`
	CVKFile     string `toml:"cvk_file" doc:"derived: file that contains the card verification keys."`
	ExpiryOrder string `toml:"expiry_order" doc:"derived: order of the expiry date in the computation, YYMM or MMYY, as in your authorisation system. Required; there is no default."`

	Prefixes       map[string][]string `toml:"prefixes" doc:"derived: PAN prefixes of each account, 1 to 11 digits each, such as { acme = [\"412345\", \"51\"] }. An account registers PANs under its prefixes alone, and without an entry none: a caller that registers a PAN can reveal its CVV. In the variable: acme=412345,acme=51. Registered cards are not affected."`
	PANDigits      int                 `toml:"pan_digits" doc:"derived: number of digits of every PAN, 8 to 19. Others are refused: PAN, expiry and service code are one row of digits for the algorithm, so a PAN of another length, with another expiry and code, gives the CVV2 of a registered one. Registered cards are not affected."`
	AllowCVV2Codes bool                `toml:"allow_cvv2_codes" doc:"derived: accept the service codes 000 and 999 for registering and rotating. They give the CVV2 and the iCVV of the PAN."`
}

// Rules is the section [rules].
type Rules struct {
	Guard     Duration `toml:"guard" doc:"Time after a request in which no new scheduling takes place. 0s: no guard."`
	GuardFrom string   `toml:"guard_from" doc:"Start of the guard. request: the last request for a scheduling, granted or not. scheduling: the last scheduling that took place."`
}

// Engine is the section [engine].
type Engine struct {
	Grace         Duration `toml:"grace" doc:"How long the previous CVV is still accepted after a rotation, 0s to 24h. While it is, a guess has twice the chance. 0s: not accepted."`
	MaxTries      int      `toml:"max_tries" doc:"Number of failed attempts in a row that locks a card, 1 to 1000. The current CVV resets the counter; a rotation does not."`
	MaxDailyTries int      `toml:"max_daily_tries" doc:"Number of failed attempts within 24 hours after which a card's CVVs are no longer compared, 1 to 1000. Nothing resets it, not even an unlock. 20 gives an attacker a chance of 2 % a day to guess a CVV of 3 digits."`
	Workers       int      `toml:"workers" doc:"Number of concurrent claims of due cards, 1 to 64. With SQLite, 1 is fastest."`
	Batch         int      `toml:"batch" doc:"Maximum number of cards in a claim, 1 to 10000."`
	Poll          Duration `toml:"poll" doc:"Maximum interval between polls for due cards, 10ms to 1h."`
	Sweep         Duration `toml:"sweep" doc:"Interval between sweeps, at least 1s. A sweep repairs slots that a clock step moved too far ahead, and deletes expired idempotency keys and old events."`
	KeepEvents    Duration `toml:"keep_events" doc:"How long delivered events are kept for a replay, at least 1m. Without a sink: how long undelivered events are kept."`
}

// Listen is the section [listen].
type Listen struct {
	PCI            string   `toml:"pci" doc:"Address of the PCI side, host:port. Outside loopback TLS is required, unless plaintext is true."`
	Ops            string   `toml:"ops" doc:"Address of the operations side, host:port. It has neither TLS nor authentication: outside loopback ops_plaintext must be true."`
	OpsPlaintext   bool     `toml:"ops_plaintext" doc:"Serve the operations side outside loopback. Only for a network that its readers alone can reach."`
	TLSCertFile    string   `toml:"tls_cert_file" doc:"PEM file with the certificate chain of the PCI side. Reloaded on SIGHUP. Empty: no TLS."`
	TLSKeyFile     string   `toml:"tls_key_file" doc:"PEM file with its private key. Reloaded on SIGHUP."`
	ClientCAFile   string   `toml:"client_ca_file" doc:"PEM file with certificate authorities: callers must present a certificate that one of them issued. Reloaded on SIGHUP: connections with certificates of withdrawn authorities are refused from then on. Empty: no client certificates."`
	Plaintext      bool     `toml:"plaintext" doc:"Serve the PCI side without TLS outside loopback. Only for a proxy in front that terminates TLS."`
	TrustedProxies []string `toml:"trusted_proxies" doc:"Addresses and prefixes of proxies in front of the PCI side, such as [\"10.0.0.7\", \"fd00:1::/64\"]. For a request from one of them, logs and audit records name the last address in X-Forwarded-For that is not a trusted proxy's. Name only proxies that append to this header or replace it. Empty: logs name the peer of the connection."`
	Drain          Duration `toml:"drain" doc:"Time between /readyz turning 503 and the PCI side refusing connections, for load balancers to notice. Less than shutdown. 0s: none."`
	Shutdown       Duration `toml:"shutdown" doc:"Timeout of the graceful shutdown, 1s to 10m. Unfinished requests are then cut off; nothing that was answered is lost."`
}

// Auth is the section [auth].
type Auth struct {
	Issuer       string   `toml:"issuer" doc:"Issuer: claim iss of the tokens. Required."`
	Audience     string   `toml:"audience" doc:"Audience: value that the claim aud of the tokens must contain. Required, except with client_ids."`
	ClientIDs    []string `toml:"client_ids" doc:"Accepted values of the claim client_id, instead of audience: only for tokens without aud (profile cognito)."`
	Profile      string   `toml:"profile" doc:"Claims of an issuer's tokens: keycloak, entra, auth0, cognito or okta (docs/issuers.md). Empty: sub, account_id, and scope or else scp."`
	SubjectClaim string   `toml:"subject_claim" doc:"Claim that holds the caller's name for logs and limits. Empty: that of the profile."`
	AccountClaim string   `toml:"account_claim" doc:"Claim that holds the caller's account, a string or an integer. Empty: that of the profile."`
	ScopeClaim   string   `toml:"scope_claim" doc:"Claim that holds the scopes, a string separated by spaces or an array. Empty: that of the profile."`
	ScopePrefix  string   `toml:"scope_prefix" doc:"Prefix of the scopes of this service, such as api/. Scopes without it are ignored. Empty: none."`
	Algorithms   []string `toml:"algorithms" doc:"Accepted signature algorithms."`
	JWKSURL      string   `toml:"jwks_url" doc:"URL of the issuer's token signing keys (JWKS), https; http on loopback only. Refreshed regularly, and on SIGHUP."`
	JWKSFile     string   `toml:"jwks_file" doc:"File that contains the JWKS, instead of jwks_url."`
	TLSCAFile    string   `toml:"tls_ca_file" doc:"PEM file with the certificate authorities that the certificate of jwks_url is verified against. A change needs a restart. Empty: those of the system."`
	MaxLifetime  Duration `toml:"max_lifetime" doc:"Maximum lifetime of a token, from iat to exp, up to 8760h. Tokens without iat are then refused. 0s: no maximum."`
	TokenType    string   `toml:"token_type" doc:"Type that the header typ of the tokens must have, such as at+jwt. Empty: typ is not checked."`
	Leeway       Duration `toml:"leeway" doc:"Clock skew tolerated when checking token times, 0s to 5m."`
}

// Limits is the section [limits].
type Limits struct {
	CardPerSecond   float64  `toml:"card_per_second" doc:"Calls per second for one card by its account, and by all callers with accounts:any together. 0: no limit."`
	CardBurst       int      `toml:"card_burst" doc:"Calls for one card that are accepted at once, at least 1."`
	CallerPerSecond float64  `toml:"caller_per_second" doc:"Calls per second of one caller. 0: no limit."`
	CallerBurst     int      `toml:"caller_burst" doc:"Calls of one caller that are accepted at once, at least 1."`
	Request         Duration `toml:"request" doc:"Timeout of a request, from its first byte to the answer, 100ms to 5m."`
}

// Events is the section [events].
type Events struct {
	Source            string   `toml:"source" doc:"CloudEvents source of the events, a URI reference."`
	Sink              string   `toml:"sink" doc:"Where events are delivered: none, jsonl, webhook or jetstream. none: undelivered events are deleted after engine.keep_events."`
	File              string   `toml:"file" doc:"jsonl: file that events are appended to. Reopened on SIGHUP. -: standard output."`
	WebhookURL        Secret   `toml:"webhook_url" doc:"webhook: URL to send events to (Standard Webhooks), https; http on loopback only. A URL with a password must be in CVVD_EVENTS_WEBHOOK_URL or webhook_url_file."`
	WebhookURLFile    string   `toml:"webhook_url_file" doc:"webhook: file that contains the URL, instead of webhook_url."`
	WebhookSecret     Secret   `toml:"webhook_secret" doc:"webhook: signing secrets, whsec_…, separated by white space. A request has one signature for each, so that secrets can be replaced." secret:"true"`
	WebhookSecretFile string   `toml:"webhook_secret_file" doc:"webhook: file that contains the signing secrets. To create one:\n(umask 077; echo \"whsec_$(openssl rand -base64 32)\" > webhook.secret)"`
	TLSCAFile         string   `toml:"tls_ca_file" doc:"webhook, jetstream: PEM file with the certificate authorities that the receiver's certificate is verified against. Empty: those of the system."`
	TLSCertFile       string   `toml:"tls_cert_file" doc:"webhook, jetstream: PEM file with a client certificate chain. Reloaded, like its key, for each connection. Empty: no client certificate."`
	TLSKeyFile        string   `toml:"tls_key_file" doc:"webhook, jetstream: PEM file with its private key."`
	NATSURL           Secret   `toml:"nats_url" doc:"jetstream: server URL, such as nats://host:4222; several are separated by commas. tls:// requires TLS, and so does nats:// if one of the TLS files above is set; without TLS, servers outside loopback need nats_plaintext. A URL with a password must be in CVVD_EVENTS_NATS_URL or nats_url_file."`
	NATSPlaintext     bool     `toml:"nats_plaintext" doc:"jetstream: connect to servers outside loopback without TLS. An attacker on the network can then read and change events."`
	NATSURLFile       string   `toml:"nats_url_file" doc:"jetstream: file that contains the URL, instead of nats_url."`
	NATSCredentials   string   `toml:"nats_credentials" doc:"jetstream: credentials file (JWT and seed). Reloaded for each connection. Empty: none."`
	NATSStream        string   `toml:"nats_stream" doc:"jetstream: name of the stream."`
	NATSPrefix        string   `toml:"nats_prefix" doc:"jetstream: prefix of the subjects, PREFIX.00 to PREFIX.ff by a hash of the card id."`
	NATSCreate        bool     `toml:"nats_create" doc:"jetstream: create the stream if it does not exist."`
	MaxAttempts       int      `toml:"max_attempts" doc:"Number of failed attempts after which an event is dead-lettered (\"parked\"), 1 to 1000. cvvd events replay requeues it."`
	MaxBackoff        Duration `toml:"max_backoff" doc:"Maximum delay between two attempts, at least 1s."`
}

// Log is the section [log].
type Log struct {
	Level     string `toml:"level" doc:"Minimum level: debug, info, warn or error."`
	Format    string `toml:"format" doc:"json or text."`
	AuditFile string `toml:"audit_file" doc:"File that the daemon and operators' commands append audit records to, as JSON lines with a hash chain. They must be able to read it. Reopened on SIGHUP. Empty: standard error, among the logs, without a chain; the record of a command then appears on the operator's terminal only."`
}

// Tracing is the section [tracing].
type Tracing struct {
	Endpoint      string  `toml:"endpoint" doc:"URL of an OTLP/HTTP receiver, such as http://localhost:4318/v1/traces. http outside loopback needs plaintext. Empty: no traces."`
	Plaintext     bool    `toml:"plaintext" doc:"Send traces outside loopback without TLS."`
	SamplingRatio float64 `toml:"sampling_ratio" doc:"Sampling ratio of traces started here or by unauthenticated requests, in (0, 1]."`
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Store: Store{Kind: "sqlite", Path: "/var/lib/cvvd/cvvd.db", Connections: 8, Background: 4},
		CVV:   CVV{Kind: "random", Digits: 3, PANDigits: 16},
		Rules: Rules{Guard: NewDuration(2 * time.Minute), GuardFrom: "request"},
		Engine: Engine{MaxTries: 3, MaxDailyTries: 20, Workers: 1, Batch: 1000, Poll: NewDuration(time.Second),
			Sweep: NewDuration(time.Hour), KeepEvents: NewDuration(7 * 24 * time.Hour)},
		Listen: Listen{PCI: "127.0.0.1:8443", Ops: "127.0.0.1:9090", Shutdown: NewDuration(20 * time.Second)},
		Auth:   Auth{Algorithms: []string{"RS256", "ES256"}, Leeway: NewDuration(30 * time.Second)},
		Limits: Limits{CardPerSecond: 10, CardBurst: 20, CallerPerSecond: 1000, CallerBurst: 2000,
			Request: NewDuration(10 * time.Second)},
		Events:  Events{Source: "/cvvrotation", Sink: "none", File: "-", NATSStream: "CARD_CVV", NATSPrefix: event.Type, MaxAttempts: 12, MaxBackoff: NewDuration(10 * time.Minute)},
		Log:     Log{Level: "info", Format: "json"},
		Tracing: Tracing{SamplingRatio: 1},
	}
}
