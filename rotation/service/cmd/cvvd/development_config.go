package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/internal/loopback"
)

// loadDev returns the configuration of development mode: all files in one folder, which
// it creates, and listening on loopback. The environment can override all but the
// loopback.
func (c *cli) loadDev(ctx context.Context, dir string, sections []string) (*config.Config, error) {
	if dir == "" {
		dir = c.defaultDevDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, command.Refuse("choose another folder with --dev-dir", "development mode: %w", err)
	}
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, "cvvd.db")
	cfg.Keys.SealingFile = filepath.Join(dir, "sealing.keys")
	cfg.Listen.PCI, cfg.Listen.Ops = devPCI, devOps
	cfg.Events.Sink, cfg.Events.File = "jsonl", filepath.Join(dir, "events.jsonl")
	cfg.Log.Level, cfg.Log.Format, cfg.Log.AuditFile = "info", "text", filepath.Join(dir, "audit.jsonl")
	if err := cfg.Override(c.environ); err != nil {
		return nil, command.Refuse("unset or correct the variable", "%w", err)
	}
	for _, a := range [][2]string{{"listen.pci", cfg.Listen.PCI}, {"listen.ops", cfg.Listen.Ops}} {
		if host, _, err := net.SplitHostPort(a[1]); err != nil || !loopback.IsHost(host) {
			return nil, command.Refuse("to listen on other addresses, use a configuration file; development mode prints a token with all permissions",
				"%s: must be a loopback address in development mode, such as 127.0.0.1:8080", a[0])
		}
	}
	if !cfg.Keys.Sealing.IsSet() && cfg.Keys.SealingFile == filepath.Join(dir, "sealing.keys") {
		if err := drawKey(cfg.Keys.SealingFile); err != nil {
			return nil, fmt.Errorf("development mode: %w", err)
		}
	} else if cfg.Keys.Sealing.IsSet() {
		cfg.Keys.SealingFile = ""
	}
	checked := slices.DeleteFunc(slices.Clone(sections), func(s string) bool { return s == "auth" }) // development mode issues its own tokens
	if err := cfg.Check(ctx, checked...); err != nil {
		return nil, command.Refuse("unset or correct the variable", "%w", err)
	}
	return &cfg, nil
}

// Addresses of development mode. If one is in use, a free port replaces it.
const (
	devPCI = "127.0.0.1:8080"
	devOps = "127.0.0.1:9090"
)

// defaultDevDir returns cvvd-dev in the user's state directory (XDG).
func (c *cli) defaultDevDir() string {
	state := c.env("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "cvvd-dev"
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "cvvd-dev")
}

// drawKey creates the file with a new sealing key, unless it exists.
func drawKey(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	_, err = fmt.Fprintf(f, "1:%s\n", base64.StdEncoding.EncodeToString(key))
	clear(key)
	return errors.Join(err, f.Sync(), f.Close())
}
