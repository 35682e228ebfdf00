// Package config is the daemon's configuration: one TOML file, overridden by
// environment variables, checked as a whole.
//
// The struct [Config] is all there is to know: its fields' tags are the
// documentation, [Default] the defaults, and [WriteExample] writes both.
// Secrets come from files of their own or from the environment, never from the
// configuration file, and no error and no listing holds one.
package config

import "time"

// Config is the configuration. Its zero value is not one: begin with Default.
//
// Tags: toml is the name in the file, doc documents a field, with its unit;
// secret is a field that the file must not set.
type Config struct {
	Store   Store   `toml:"store" doc:"Where cards and events are kept."`
	Keys    Keys    `toml:"keys" doc:"Keys that seal what is stored (XAES-256-GCM). A key has an id, 1 to 4294967295, which is never used again.\nIn the file or variable: one ID:BASE64 a line or word, the current key first; the others only open what is sealed.\nA new one, in a file for you alone:\n(umask 077; echo \"1:$(openssl rand -base64 32)\" > sealing.keys)"`
	CVV     CVV     `toml:"cvv" doc:"How CVVs are made."`
	Rules   Rules   `toml:"rules" doc:"The rotation rules (docs/rules.md)."`
	Engine  Engine  `toml:"engine" doc:"The engine that rotates."`
	Listen  Listen  `toml:"listen" doc:"Addresses. The PCI side has the cards' endpoint; the operations side has /metrics, /healthz, /readyz and the status page."`
	Auth    Auth    `toml:"auth" doc:"Who may call the endpoint: the bearer tokens (JWT) of one issuer."`
	Limits  Limits  `toml:"limits" doc:"Limits of the endpoint. They hold for each process."`
	Events  Events  `toml:"events" doc:"Where \"Card CVV changed\" goes."`
	Log     Log     `toml:"log" doc:"Logs, on standard error; and audit records: who changed which card, or revealed its CVV."`
	Tracing Tracing `toml:"tracing" doc:"OpenTelemetry traces."`
}

// Store is the section [store].
type Store struct {
	Kind        string `toml:"kind" doc:"sqlite: one file, one machine. postgres: any number of replicas."`
	Path        string `toml:"path" doc:"sqlite: the database's file; files PATH-* lie beside it."`
	URL         Secret `toml:"url" doc:"postgres: postgres://user@host/database?sslmode=verify-full. With a password only in CVVD_STORE_URL or url_file."`
	URLFile     string `toml:"url_file" doc:"postgres: a file with the URL, instead of url."`
	Connections int    `toml:"connections" doc:"postgres: connections at most for callers that wait for one card."`
	Background  int    `toml:"background" doc:"postgres: connections at most for claims, events and lists: two more than engine.workers."`
}

// Keys is the section [keys].
type Keys struct {
	Sealing     Secret `toml:"sealing" doc:"The sealing keys." secret:"true"`
	SealingFile string `toml:"sealing_file" doc:"A file with the sealing keys."`
}

// CVV is the section [cvv].
type CVV struct {
	Kind        string `toml:"kind" doc:"random: drawn and stored sealed. derived: computed from PAN, expiry and service code; no CVV is stored."`
	Digits      int    `toml:"digits" doc:"Digits of a CVV: 3 or 4; derived: 3 to 5."`
	CVK         Secret `toml:"cvk" doc:"derived: the pair of card verification keys, 32 hexadecimal digits." secret:"true"`
	CVKFile     string `toml:"cvk_file" doc:"derived: a file with them."`
	ExpiryOrder string `toml:"expiry_order" doc:"derived: YYMM or MMYY, as your authorisation system feeds it; there is no default."`
}

// Rules is the section [rules].
type Rules struct {
	Guard     Duration `toml:"guard" doc:"Time after a request in which no new scheduling takes place."`
	GuardFrom string   `toml:"guard_from" doc:"What it is measured from: request, or scheduling."`
}

// Engine is the section [engine].
type Engine struct {
	Grace      Duration `toml:"grace" doc:"How long the CVV before stays good after a rotation. It doubles a guess's chance."`
	MaxTries   int      `toml:"max_tries" doc:"Wrong CVVs in a row that lock a card, however often it rotates in between."`
	Workers    int      `toml:"workers" doc:"Claims of due cards at the same time. SQLite: 1 is best."`
	Batch      int      `toml:"batch" doc:"Cards in a claim."`
	Poll       Duration `toml:"poll" doc:"Longest sleep before looking what other replicas have scheduled."`
	Sweep      Duration `toml:"sweep" doc:"Time between two sweeps, which repair what a wrong clock has set and delete what is old."`
	KeepEvents Duration `toml:"keep_events" doc:"How long delivered events are kept for a replay, and events without a sink for one."`
}

// Listen is the section [listen].
type Listen struct {
	PCI          string   `toml:"pci" doc:"Address of the cards' endpoint, host:port. Without TLS only on loopback, unless plaintext says so."`
	Ops          string   `toml:"ops" doc:"Address of the operations side, host:port; it has neither TLS nor authentication: keep it inside."`
	TLSCertFile  string   `toml:"tls_cert_file" doc:"Certificate chain of the PCI side, PEM. Read again on SIGHUP."`
	TLSKeyFile   string   `toml:"tls_key_file" doc:"Its private key, PEM."`
	ClientCAFile string   `toml:"client_ca_file" doc:"Authorities, PEM, of which callers must present a certificate; empty: none is asked for."`
	Plaintext    bool     `toml:"plaintext" doc:"Serve the PCI side without TLS beyond loopback: something in front of it ends TLS."`
	Drain        Duration `toml:"drain" doc:"Time between /readyz turning to 503 and refusing connections, for load balancers to notice."`
	Shutdown     Duration `toml:"shutdown" doc:"Longest graceful shutdown; what is then not finished is cut off, and loses nothing that was answered."`
}

// Auth is the section [auth].
type Auth struct {
	Issuer       string   `toml:"issuer" doc:"iss of the tokens; required."`
	Audience     string   `toml:"audience" doc:"aud that the tokens must hold; required."`
	Algorithms   []string `toml:"algorithms" doc:"Signature algorithms that are taken."`
	JWKSURL      string   `toml:"jwks_url" doc:"URL of the issuer's keys."`
	JWKSFile     string   `toml:"jwks_file" doc:"A file with the issuer's keys, instead of the URL."`
	AccountClaim string   `toml:"account_claim" doc:"Claim that names the caller's account."`
	Leeway       Duration `toml:"leeway" doc:"Difference of clocks that is overlooked."`
}

// Limits is the section [limits].
type Limits struct {
	CardPerSecond   float64  `toml:"card_per_second" doc:"Calls per second for one card; 0: no limit."`
	CardBurst       int      `toml:"card_burst" doc:"Calls at once for one card."`
	CallerPerSecond float64  `toml:"caller_per_second" doc:"Calls per second for one caller; 0: no limit."`
	CallerBurst     int      `toml:"caller_burst" doc:"Calls at once for one caller."`
	Request         Duration `toml:"request" doc:"Longest time for a request, from its first byte to its answer."`
}

// Events is the section [events].
type Events struct {
	Source            string   `toml:"source" doc:"source of the events (CloudEvents), a URI reference."`
	Sink              string   `toml:"sink" doc:"none: they wait in the outbox until there is one, for engine.keep_events at most, and are then deleted. jsonl, webhook or jetstream."`
	File              string   `toml:"file" doc:"jsonl: the file, opened anew on SIGHUP; -: standard output."`
	WebhookURL        Secret   `toml:"webhook_url" doc:"webhook: where to POST to (Standard Webhooks), https. With a password only in the variable or webhook_url_file."`
	WebhookURLFile    string   `toml:"webhook_url_file" doc:"webhook: a file with the URL, instead of webhook_url."`
	WebhookSecret     Secret   `toml:"webhook_secret" doc:"webhook: the signing secrets, whsec_…, separated by white space; each signs." secret:"true"`
	WebhookSecretFile string   `toml:"webhook_secret_file" doc:"webhook: a file with the secrets. A new one:\n(umask 077; echo \"whsec_$(openssl rand -base64 32)\" > webhook.secret)"`
	TLSCAFile         string   `toml:"tls_ca_file" doc:"webhook, jetstream: authorities, PEM, one of which has issued the receiver's certificate; empty: the system's."`
	TLSCertFile       string   `toml:"tls_cert_file" doc:"webhook, jetstream: certificate chain to present to the receiver, PEM; empty: none. It and its key are read anew for each connection."`
	TLSKeyFile        string   `toml:"tls_key_file" doc:"webhook, jetstream: its private key, PEM."`
	NATSURL           Secret   `toml:"nats_url" doc:"jetstream: nats://host:4222, or tls://… which insists on TLS, as nats:// does with one of the files above; several with commas. With a password only in the variable or nats_url_file."`
	NATSURLFile       string   `toml:"nats_url_file" doc:"jetstream: a file with the URL, instead of nats_url."`
	NATSCredentials   string   `toml:"nats_credentials" doc:"jetstream: a credentials file (JWT and seed), read anew for each connection; empty: none."`
	NATSStream        string   `toml:"nats_stream" doc:"jetstream: the stream."`
	NATSPrefix        string   `toml:"nats_prefix" doc:"jetstream: the subjects are PREFIX.00 to PREFIX.ff, by a hash of the card."`
	NATSCreate        bool     `toml:"nats_create" doc:"jetstream: make the stream if it is not there."`
	MaxAttempts       int      `toml:"max_attempts" doc:"Failures that park an event, which then waits for cvvd events replay."`
	MaxBackoff        Duration `toml:"max_backoff" doc:"Longest delay between two attempts."`
}

// Log is the section [log].
type Log struct {
	Level     string `toml:"level" doc:"debug, info, warn or error."`
	Format    string `toml:"format" doc:"json or text."`
	AuditFile string `toml:"audit_file" doc:"File that audit records are appended to, as JSON lines, by the daemon and by operators' commands; opened anew on SIGHUP. Empty: standard error, among the logs, where a command's record stays on the operator's terminal."`
}

// Tracing is the section [tracing].
type Tracing struct {
	Endpoint string  `toml:"endpoint" doc:"URL of an OTLP/HTTP receiver, such as http://localhost:4318/v1/traces; empty: no traces."`
	Share    float64 `toml:"share" doc:"Share of the traces that begin here which are kept, over 0 and up to 1."`
}

// Default returns the configuration that an empty file stands for.
func Default() Config {
	return Config{
		Store: Store{Kind: "sqlite", Path: "/var/lib/cvvd/cvvd.db", Connections: 8, Background: 4},
		CVV:   CVV{Kind: "random", Digits: 3},
		Rules: Rules{Guard: Lasting(2 * time.Minute), GuardFrom: "request"},
		Engine: Engine{MaxTries: 3, Workers: 1, Batch: 1000, Poll: Lasting(time.Second),
			Sweep: Lasting(time.Hour), KeepEvents: Lasting(7 * 24 * time.Hour)},
		Listen: Listen{PCI: "127.0.0.1:8443", Ops: "127.0.0.1:9090", Shutdown: Lasting(20 * time.Second)},
		Auth:   Auth{Algorithms: []string{"RS256", "ES256"}, AccountClaim: "account_id", Leeway: Lasting(30 * time.Second)},
		Limits: Limits{CardPerSecond: 10, CardBurst: 20, CallerPerSecond: 1000, CallerBurst: 2000,
			Request: Lasting(10 * time.Second)},
		Events:  Events{Source: "/cvvrotation", Sink: "none", File: "-", NATSStream: "CARD_CVV", NATSPrefix: "card.cvv.changed.v1", MaxAttempts: 12, MaxBackoff: Lasting(10 * time.Minute)},
		Log:     Log{Level: "info", Format: "json"},
		Tracing: Tracing{Share: 1},
	}
}
