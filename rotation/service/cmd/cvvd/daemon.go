package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/cmd/cvvd/status"
	"cvvrotation/rotation/service/telemetry"
)

// daemon is everything at work: what build has made, run runs and shuts down.
type daemon struct {
	cfg        *config.Config
	log        *slog.Logger
	audit      *auditLog
	supervisor supervisor
	store      store.Store
	engine     *engine.Engine
	sink       outbox.Sink              // nil: none
	relay      *outbox.Relay            // nil without a sink
	traces     *sdktrace.TracerProvider // nil: none
	verifier   *auth.Verifier           // nil in development mode
	cert       *certificate             // nil: no TLS
	pci, ops   *http.Server
	onPCI      net.Listener
	onOps      net.Listener
	stopping   atomic.Bool
	announce   func() error // in development mode: says how to try it
	closers    []func() error
}

// build makes all parts, without anything running yet. What it has opened when
// it fails is closed again.
func (c *cli) build(ctx context.Context, cfg *config.Config, dev bool, logger *slog.Logger) (_ *daemon, err error) {
	d := &daemon{cfg: cfg, log: logger, supervisor: c.supervisor()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.onPCI, err = listen(cfg.Listen.PCI, dev, devPCI); err != nil {
		return nil, fmt.Errorf("listen.pci: %w", err)
	}
	d.closing(d.onPCI.Close)
	if d.onOps, err = listen(cfg.Listen.Ops, dev, devOps); err != nil {
		return nil, fmt.Errorf("listen.ops: %w", err)
	}
	d.closing(d.onOps.Close)

	if d.audit, err = c.openAudit(cfg, true); err != nil {
		return nil, err
	}
	d.closing(d.audit.Close)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	options := telemetry.Options{Registerer: registry}
	if cfg.Tracing.Endpoint != "" {
		d.traces, err = telemetry.NewTracerProvider(ctx, telemetry.Tracing{Endpoint: cfg.Tracing.Endpoint, Share: cfg.Tracing.Share, Version: command.Version()})
		if err != nil {
			return nil, err
		}
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces are lost", "error", err) }))
		options.Tracer = d.traces
	}
	metrics := telemetry.New(options)

	inner, err := openStore(ctx, cfg, true)
	if err != nil {
		return nil, err
	}
	d.closing(inner.Close)
	d.store = metrics.Store(inner)
	registry.MustRegister(telemetry.Sizes(d.store, 2*time.Second))

	if d.sink, err = openSink(cfg, c.Stdout, logger); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	engineOptions, err := engineOptions(ctx, cfg, d.store, logger)
	if err != nil {
		return nil, err
	}
	engineOptions.Observer = metrics
	if d.sink != nil {
		d.closing(d.sink.Close)
		d.relay, err = outbox.New(d.store, d.sink, outbox.Options{
			Logger: logger, Observe: metrics.Delivered,
			MaxAttempts: cfg.Events.MaxAttempts, MaxBackoff: cfg.Events.MaxBackoff.Go(),
		})
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		engineOptions.Written = d.relay.Wake
	}
	if d.engine, err = engine.New(engineOptions); err != nil {
		return nil, err
	}
	if err := d.engine.CheckKeys(ctx); err != nil {
		return nil, command.Hint(fmt.Errorf("the sealing keys: %w", err), "list the key that was in force before as well; cvvd help reseal says how keys change")
	}
	return d, c.buildServers(d, registry, metrics, dev)
}

func (c *cli) buildServers(d *daemon, registry *prometheus.Registry, metrics *telemetry.Metrics, dev bool) error {
	authenticator, err := c.authenticator(d, registry, dev)
	if err != nil {
		return err
	}
	issuer := d.cfg.Auth.Issuer
	if dev {
		issuer = auth.DevIssuer
	}
	l := &d.cfg.Limits
	rate := func(perSecond float64, burst int) api.Rate {
		if perSecond == 0 {
			return api.Rate{}
		}
		return api.Rate{PerSecond: perSecond, Burst: burst}
	}
	endpoint, err := api.New(d.engine, authenticator, api.Options{
		Logger: d.log, Audit: d.audit.With("issuer", issuer), Timeout: l.Request.Go(),
		PerCard: rate(l.CardPerSecond, l.CardBurst), PerCaller: rate(l.CallerPerSecond, l.CallerBurst),
	})
	if err != nil {
		return err
	}
	d.pci = api.Server("", metrics.Handler(endpoint))
	d.pci.WriteTimeout = max(d.pci.WriteTimeout, l.Request.Go()+5*time.Second) // it counts from the request's header on
	if d.cert, d.pci.TLSConfig, err = newCertificate(d.cfg); err != nil {
		return command.Usage(err)
	}
	page := status.Options{Store: d.store, Recent: metrics.Recent(), Logger: d.log, Version: command.Version()}
	if d.relay != nil {
		page.Relay = d.relay.State
	}
	d.ops = api.Server("", d.opsHandler(registry, status.New(page)))
	for _, s := range []*http.Server{d.pci, d.ops} {
		s.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelWarn)
	}
	return nil
}

// authenticator returns who judges tokens: in development mode an issuer of our
// own, which announce then shows a token of.
func (c *cli) authenticator(d *daemon, registry *prometheus.Registry, dev bool) (api.Authenticator, error) {
	if dev {
		issuer := auth.NewDev(clock.New())
		d.announce = func() error { return c.announce(d, issuer) }
		return issuer, nil
	}
	a := &d.cfg.Auth
	keys := a.JWKSURL
	if keys == "" {
		keys = a.JWKSFile
	}
	var err error
	d.verifier, err = auth.New(auth.Config{
		Issuer: a.Issuer, Audience: a.Audience, Algorithms: a.Algorithms, JWKS: keys,
		AccountClaim: a.AccountClaim, Leeway: a.Leeway.Go(), Logger: d.log,
	})
	if err != nil {
		return nil, command.Usage(err)
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cvv_token_keys_age_seconds", Help: "Since the keys of tokens were last loaded; -1: never yet.",
	}, func() float64 {
		if !d.verifier.Ready() {
			return -1
		}
		return clock.New().Since(d.verifier.Loaded()).Seconds()
	}))
	return d.verifier, nil
}

func (d *daemon) closing(f func() error) { d.closers = append(d.closers, f) }

// close closes what build has opened, the last one first.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		if err := d.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	d.closers = nil
	return errors.Join(errs...)
}

// run serves until running ends, and then shuts down, while patient lasts and no
// longer than the configuration says. A part that fails ends all.
func (d *daemon) run(running, patient context.Context, stop context.CancelCauseFunc) error {
	var parts sync.WaitGroup
	var mu sync.Mutex
	var failed []error // of parts
	start := func(f func(context.Context) error) (end context.CancelFunc, done chan struct{}) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(running))
		done = make(chan struct{})
		parts.Go(func() {
			defer close(done)
			if err := f(ctx); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
				stop(err)
			}
		})
		return cancel, done
	}
	endEngine, engineDone := start(d.engine.Run)
	endRelay, relayDone := start(func(ctx context.Context) error {
		if d.relay == nil {
			return d.expire(ctx)
		}
		return d.relay.Run(ctx)
	})
	endKeys, _ := start(func(ctx context.Context) error {
		if d.verifier == nil {
			return nil
		}
		return d.verifier.Run(ctx)
	})
	endWatch, _ := start(func(ctx context.Context) error {
		// A database that is down is no reason to be restarted: that mends nothing.
		d.supervisor.watch(ctx, func(ctx context.Context) { d.alive(ctx) })
		return nil
	})
	start(func(context.Context) error { return served(d.ops.Serve(d.onOps)) })
	start(func(context.Context) error {
		if d.cert != nil {
			return served(d.pci.ServeTLS(d.onPCI, "", ""))
		}
		return served(d.pci.Serve(d.onPCI))
	})
	d.log.Info("serving", "version", command.Version(), "pci", d.onPCI.Addr().String(), "ops", d.onOps.Addr().String(),
		"tls", d.cert != nil, "store", d.cfg.Store.Kind, "sink", d.cfg.Events.Sink)
	if d.announce != nil {
		start(func(context.Context) error { return d.announce() })
	}
	d.supervisor.tell("READY=1")
	<-running.Done()

	d.stopping.Store(true)
	d.supervisor.tell("STOPPING=1")
	ctx, cancel := context.WithTimeoutCause(patient, d.cfg.Listen.Shutdown.Go(), errors.New("the graceful shutdown took too long: what was not finished is cut off"))
	defer cancel()
	wait := func(done <-chan struct{}) {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	if drain := d.cfg.Listen.Drain.Go(); drain > 0 {
		drained, cancelDrain := context.WithTimeout(ctx, drain)
		wait(drained.Done())
		cancelDrain()
	}
	d.pci.Shutdown(ctx)
	endEngine()
	wait(engineDone)
	endRelay()
	wait(relayDone)
	endKeys()
	endWatch()
	if d.traces != nil {
		d.traces.Shutdown(ctx)
	}
	d.ops.Shutdown(ctx)
	all := make(chan struct{})
	var closeErr error
	go func() {
		defer close(all)
		parts.Wait()
		closeErr = d.close()
	}()
	wait(all)
	mu.Lock()
	err := errors.Join(failed...)
	mu.Unlock()
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	err = errors.Join(err, closeErr)
	if err == nil {
		d.log.Info("shut down; nothing was cut off")
	}
	return err
}

// served returns the error of a server, nil when it was shut down.
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// reload does what SIGHUP asks for.
func (d *daemon) reload() {
	if d.cert != nil {
		d.cert.reload(d.log)
	}
	if d.verifier != nil {
		d.verifier.Reload()
	}
	d.audit.reopen(d.log)
	if file, ok := d.sink.(interface{ Reopen() error }); ok {
		if err := file.Reopen(); err != nil {
			d.log.Error("the file of events could not be opened again; the one before stays", "error", err)
			return
		}
		d.log.Info("the file of events was opened again")
	}
}
