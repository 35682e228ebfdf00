package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// serveOptions holds the flags of serve.
type serveOptions = configFlags

func (c *cli) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:  "serve",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), &o) },
	}
	o.add(cmd)
	return cmd
}

// serve runs the daemon until a signal stops it.
func (c *cli) serve(ctx context.Context, o *serveOptions) error {
	cfg, err := c.load(ctx, o, config.All)
	if err != nil {
		return err
	}
	logger := c.logger(cfg)
	for _, w := range cfg.Warnings() {
		logger.Warn("a setting needs attention; continuing", "setting", w.Field, "reason", w.Detail)
	}

	// The first signal ends running. A later one aborts the graceful shutdown, unless it
	// comes within a second: service managers and shells send some signals twice, to the
	// process and to its group.
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patient, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer c.onAbort()()

	d, err := c.build(running, cfg, o.dev, logger)
	if err != nil {
		return err
	}
	go func() {
		var first time.Time
		for s := range signals {
			switch {
			case s == syscall.SIGHUP:
				d.reload()
			case running.Err() == nil:
				logger.Info("shutting down; a second signal exits immediately", "signal", s.String())
				first = time.Now()
				stop(nil)
			case time.Since(first) < time.Second:
				logger.Info("second signal within a second; the graceful shutdown continues", "signal", s.String())
			default:
				giveUp(fmt.Errorf("%s: second signal, exiting without a graceful shutdown", s))
				return
			}
		}
	}()
	return d.run(running, patient, stop)
}

// listen listens on the address. In development mode it falls back to a free port if
// the usual address is in use.
func listen(address string, dev bool, usual string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if dev && address == usual && errors.Is(err, syscall.EADDRINUSE) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}
