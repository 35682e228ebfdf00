package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth/devtoken"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/cmd/cvvd/status"
	"cvvrotation/rotation/service/internal/loglimit"
	"cvvrotation/rotation/service/telemetry"
)

// build creates all components and starts none. If it fails, it closes those that it
// has opened.
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
	d.closing(func() error {
		if d.audit.file != nil {
			d.audit.report(logger, "audit log closed")
		}
		return d.audit.Close()
	})
	d.audit.report(logger, "audit log opened")
	d.auditing = condition.WatchAudit(d.audit.Handler(), nil)
	d.audit.Logger = slog.New(d.auditing)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	telemetryOptions := telemetry.Options{Registerer: registry}
	if cfg.Tracing.Endpoint != "" {
		d.traces, err = telemetry.NewTracerProvider(ctx, cfg.Tracing.Endpoint, telemetry.TracingOptions{SamplingRatio: cfg.Tracing.SamplingRatio, Version: command.Version()})
		if err != nil {
			return nil, err
		}
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("exporting traces failed; spans are lost", "error", err) }))
		telemetryOptions.Tracer = d.traces
	}
	metrics, err := telemetry.New(telemetryOptions)
	if err != nil {
		return nil, err
	}

	inner, err := waitForPrimary(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	d.closing(inner.Close)
	if d.store, err = metrics.Store(inner); err != nil {
		return nil, err
	}
	d.store = condition.WatchWrites(d.store, &d.writes, nil)
	sizes, err := telemetry.Sizes(d.store, 2*time.Second)
	if err != nil {
		return nil, err
	}
	registry.MustRegister(sizes)

	if d.sink, err = openSink(cfg, c.Stdout, logger); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	options := engine.Options{Observer: metrics}
	if d.sink != nil {
		d.closing(d.sink.Close)
		d.relay, err = outbox.New(d.store, d.sink, outbox.Options{
			Logger: logger, Observe: metrics.Delivered,
			MaxAttempts: cfg.Events.MaxAttempts, MaxBackoff: cfg.Events.MaxBackoff.Go(),
		})
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		options.Written = d.relay.Wake
	}
	if d.engine, err = newEngine(ctx, cfg, d.store, logger, options); err != nil {
		return nil, err
	}
	if err := d.engine.AdoptKeys(ctx); err != nil {
		return nil, command.Hint(err, "add the previous key to the list; cvvd help reseal describes how to change keys")
	}
	return d, c.buildServers(d, registry, metrics, dev)
}

func (c *cli) buildServers(d *daemon, registry *prometheus.Registry, metrics *telemetry.Metrics, dev bool) error {
	authenticator, err := c.authenticator(d, registry, metrics, dev)
	if err != nil {
		return err
	}
	if authenticator, err = telemetry.Authenticator(authenticator); err != nil {
		return err
	}
	if d.tls, err = newPCITLS(d.cfg); err != nil {
		return command.Usage(err)
	}
	if d.tls != nil {
		authenticator = d.tls.authenticator(authenticator)
	}
	issuer := d.cfg.Auth.Issuer
	if dev {
		issuer = devtoken.IssuerName
	}
	l := &d.cfg.Limits
	rate := func(perSecond float64, burst int) api.Rate {
		if perSecond == 0 {
			return api.Rate{}
		}
		return api.Rate{PerSecond: perSecond, Burst: burst}
	}
	proxies, err := d.cfg.TrustedProxies()
	if err != nil {
		return command.Usage(err)
	}
	endpoint, err := api.New(d.engine, authenticator, api.Options{
		Logger: d.log, Audit: d.audit.With("issuer", issuer), Timeout: l.Request.Go(),
		TrustedProxies: proxies, PerCard: rate(l.CardPerSecond, l.CardBurst), PerCaller: rate(l.CallerPerSecond, l.CallerBurst),
	})
	if err != nil {
		return err
	}
	if endpoint, err = metrics.Handler(endpoint); err != nil {
		return err
	}
	if d.pci, err = api.Server("", endpoint); err != nil {
		return err
	}
	d.pci.WriteTimeout = max(d.pci.WriteTimeout, l.Request.Go()+5*time.Second) // counted from the end of the request's header
	if d.tls != nil {
		d.pci.Handler, d.pci.TLSConfig = d.tls.handler(endpoint), d.tls.server()
	}
	sources := condition.Sources{
		Store: d.store, Writes: &d.writes, Audit: d.auditing, Totals: metrics.Totals, Stopping: d.stopping.Load, Recovered: d.retryNow, Replica: replica(), Logger: d.log,
	}
	options := status.Options{Logger: d.log, Version: command.Version(), Cards: d.engine, Replica: replica()}
	if d.relay != nil {
		options.Relay, sources.Relay = d.relay.State, d.relay.State
	}
	if d.verifier != nil {
		sources.KeysLoaded = d.verifier.Loaded
	}
	if d.monitor, err = condition.New(sources); err != nil {
		return err
	}
	registry.MustRegister(d.monitor)
	options.Conditions, options.LeaseHolder = d.monitor.Current, d.monitor.LeaseHolder
	page, err := status.New(d.store, metrics.Recent(), options)
	if err != nil {
		return err
	}
	if d.ops, err = api.Server("", opsHandler(registry, page, d.monitor.Current)); err != nil {
		return err
	}
	for _, s := range []*http.Server{d.pci, d.ops} {
		s.ErrorLog = slog.NewLogLogger(loglimit.New(d.log, clock.New()).Handler(), slog.LevelWarn)
	}
	return nil
}

// authenticator returns the verifier of tokens. In development mode it also issues the
// token that printTour prints.
func (c *cli) authenticator(d *daemon, registry *prometheus.Registry, metrics *telemetry.Metrics, dev bool) (api.Authenticator, error) {
	if dev {
		issuer := devtoken.New(clock.New())
		d.printTour = func() error { return c.printTour(d, issuer) }
		return issuer, nil
	}
	var err error
	if d.verifier, err = newVerifier(d.cfg, d.log); err != nil {
		return nil, command.Usage(err)
	}
	age, err := metrics.KeySetAge(d.verifier.Loaded)
	if err != nil {
		return nil, err
	}
	entries, err := telemetry.KeySetEntries(d.verifier.KeyCounts)
	if err != nil {
		return nil, err
	}
	registry.MustRegister(age, entries)
	return d.verifier, nil
}

// closing registers f to be called by close.
func (d *daemon) closing(f func() error) { d.closers = append(d.closers, f) }

// close closes what build has opened, in reverse order.
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
