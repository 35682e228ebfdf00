package main

import (
	"context"
	"errors"
)

// shutdown ends the parts from the outside in: readiness, the PCI side, the engine,
// the relay, token keys and watchdog, traces, the operations side, and at last what
// build has opened, the store among it. It lasts while patient does and no longer
// than listen.shutdown.
func (d *daemon) shutdown(patient context.Context, p *parts) error {
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
	p.engine.end()
	wait(p.engine.done)
	p.relay.end()
	wait(p.relay.done)
	p.keys.end()
	p.watchdog.end()
	if d.traces != nil {
		d.traces.Shutdown(ctx)
	}
	d.ops.Shutdown(ctx)
	closed := make(chan struct{})
	var closeErr error
	go func() {
		defer close(closed)
		p.all.Wait()
		closeErr = d.close()
	}()
	wait(closed)
	if ctx.Err() != nil {
		return errors.Join(p.failure(), context.Cause(ctx))
	}
	if err := errors.Join(p.failure(), closeErr); err != nil {
		return err
	}
	d.log.Info("shut down; nothing was cut off")
	return nil
}
