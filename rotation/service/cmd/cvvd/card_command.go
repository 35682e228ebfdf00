package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/servicecode"
)

var outputs = []cobra.Completion{"text", "json"}

// cardFlags holds the flags of the commands on one card.
type cardFlags struct {
	config  configFlags
	output  string
	account string

	interval time.Duration
	first    string
	spread   bool

	code        string
	compromised bool
	key         string
	slots       int
	particulars bool
}

func (c *cli) cardCommand() *cobra.Command {
	return command.Group("card",
		c.cardDo("register", audit.OperationRegister, c.register, scheduleFlags, func(cmd *cobra.Command, f *cardFlags) {
			cmd.Flags().StringVar(&f.account, "account", "", "")
			cmd.Flags().StringVar(&f.code, "service-code", "", "")
			cmd.Flags().BoolVar(&f.particulars, "particulars", false, "")
		}),
		c.cardDo("show", "", c.show, func(cmd *cobra.Command, f *cardFlags) { cmd.Flags().IntVar(&f.slots, "slots", 5, "") }),
		c.historyCommand(),
		c.cardDo("force", audit.OperationRotate, c.force, func(cmd *cobra.Command, f *cardFlags) {
			cmd.Flags().StringVar(&f.code, "service-code", "", "")
			cmd.Flags().BoolVar(&f.compromised, "compromised", false, "")
			cmd.Flags().StringVar(&f.key, "key", "", "")
		}),
		c.cardDo("set", audit.OperationSetInterval, c.set, scheduleFlags),
		c.cardDo("disable", audit.OperationDisable, c.disable),
		c.cardDo("unlock", audit.OperationUnlock, c.unlock),
	)
}

func scheduleFlags(cmd *cobra.Command, f *cardFlags) {
	cmd.Flags().DurationVar(&f.interval, "interval", 0, "")
	cmd.Flags().StringVar(&f.first, "first", "", "")
	cmd.Flags().BoolVar(&f.spread, "spread", false, "")
}

// cardDo returns a command on one card, which prints what do returns. audited is the
// operation's name in the audit log, or "" if it changes nothing.
func (c *cli) cardDo(name string, audited audit.Operation, do func(context.Context, *engine.Engine, engine.Ref, *cardFlags) (cardOutput, error), flags ...func(*cobra.Command, *cardFlags)) *cobra.Command {
	var f cardFlags
	cmd := &cobra.Command{
		Use:  name + " CARD",
		Args: command.Exactly("a card's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(outputs, cobra.Completion(f.output)) {
				return command.Refuse("run "+cmd.CommandPath()+" --help", "-o %s: must be one of %s", f.output, strings.Join(outputs, ", "))
			}
			return c.withEngine(cmd.Context(), &f.config, func(cfg *config.Config, e *engine.Engine) error {
				ref := engine.AnyAccount(args[0])
				var result cardOutput
				try := func(r *audit.Record) (err error) {
					if engine.CheckCard(ref.Card) == nil { // an invalid id could be a PAN
						r.Card = ref.Card
					}
					result, err = do(cmd.Context(), e, ref, &f)
					r.Effect = result.effect
					var failed *engine.OperationError
					if errors.As(err, &failed) {
						r.Effect = failed.Effect
					}
					if err != nil {
						return explain(ref.Card, err)
					}
					return nil
				}
				var err error
				if audited == audit.OperationRegister || audited == audit.OperationRotate { // they encrypt
					if err := checkKeys(cmd.Context(), e); err != nil {
						return err
					}
				}
				if audited == "" {
					err = try(new(audit.Record))
				} else {
					err = c.audited(cmd.Context(), cfg, audited, false, try)
				}
				switch {
				case err != nil:
					return err
				case f.output == "json":
					return json.NewEncoder(c.Stdout).Encode(result)
				}
				return result.text(c.Stdout)
			})
		},
	}
	f.config.add(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "")
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	for _, add := range flags {
		add(cmd, &f)
	}
	return cmd
}

// explain adds exit status and hint to an error of the engine.
func explain(card string, err error) error {
	var wrong *rotation.EventError
	switch {
	case command.IsUsage(err):
		return err
	case errors.Is(err, store.ErrNotFound):
		return command.Hint(fmt.Errorf("card %s: %w", card, err), "check the id; cvvd card register adds a card")
	case errors.Is(err, engine.ErrInvalid), errors.As(err, &wrong):
		return command.Usage(err) // its text never quotes a possible secret
	}
	err = fmt.Errorf("card %s: %w", card, err)
	if errors.Is(err, seal.ErrUnknownKey) {
		return command.Hint(err, "add the key to the list of sealing keys (keys.sealing_file), behind the current one")
	}
	return err
}

func (f *cardFlags) schedule() (engine.IntervalRequest, error) {
	r := engine.IntervalRequest{Interval: f.interval, Spread: f.spread}
	if f.interval == 0 && (f.first != "" || f.spread) {
		return r, command.Refuse("add --interval, such as --interval 24h", "--first and --spread require --interval")
	}
	if f.first != "" {
		first, err := time.Parse(time.RFC3339Nano, f.first)
		if err != nil {
			return r, &engine.FieldError{Field: "first", Detail: "must be an RFC 3339 time, such as 2027-01-01T15:00:00Z"}
		}
		r.First = first
	}
	return r, nil
}

func (f *cardFlags) serviceCode() (code servicecode.Code, err error) {
	if f.code == "" {
		return code, nil
	}
	if code, err = servicecode.Parse(f.code); err != nil {
		err = &engine.FieldError{Field: "service_code", Detail: err.Error()}
	}
	return code, err
}

func (c *cli) register(ctx context.Context, e *engine.Engine, ref engine.Ref, f *cardFlags) (cardOutput, error) {
	schedule, err := f.schedule()
	if err != nil {
		return cardOutput{}, err
	}
	code, err := f.serviceCode()
	if err != nil {
		return cardOutput{}, err
	}
	reg := engine.RegisterRequest{ServiceCode: code, Schedule: schedule}
	if f.particulars {
		if reg.Particulars, err = c.readParticulars(); err != nil {
			return cardOutput{}, err
		}
	}
	s, created, err := e.Register(ctx, engine.Ref{Card: ref.Card, Account: f.account}, reg)
	if err != nil {
		return cardOutput{}, err
	}
	done := "already registered"
	if created {
		done = "registered"
	}
	return scheduleOutput(done, s), nil
}

// readParticulars reads a PAN and an expiry date from standard input, because all
// users of the machine can see a command's arguments.
func (c *cli) readParticulars() (p cvvgen.Card, err error) {
	text, err := io.ReadAll(io.LimitReader(c.Stdin, 256))
	if err != nil {
		return p, err
	}
	defer clear(text)
	words := strings.Fields(string(text))
	if len(words) != 2 {
		return p, &engine.FieldError{Field: "particulars", Detail: "standard input must contain the PAN and the expiry date, such as 2027-11"}
	}
	if p.PAN, err = cvvgen.ParsePAN(words[0]); err != nil {
		return p, &engine.FieldError{Field: "pan", Detail: err.Error()}
	}
	month, err := time.Parse("2006-01", words[1])
	if err != nil {
		return p, &engine.FieldError{Field: "expiry", Detail: "must be a year and a month, such as 2027-11"}
	}
	if p.Expiry, err = cvvgen.NewExpiry(month.Year(), month.Month()); err != nil {
		return p, &engine.FieldError{Field: "expiry", Detail: err.Error()}
	}
	return p, nil
}

func (c *cli) show(ctx context.Context, e *engine.Engine, ref engine.Ref, f *cardFlags) (cardOutput, error) {
	s, err := e.Show(ctx, ref, f.slots)
	return scheduleOutput("", s), err
}

func (c *cli) force(ctx context.Context, e *engine.Engine, ref engine.Ref, f *cardFlags) (cardOutput, error) {
	code, err := f.serviceCode()
	if err != nil {
		return cardOutput{}, err
	}
	r, err := e.Force(ctx, ref, engine.ForceRequest{ServiceCode: code, Compromised: f.compromised, Key: f.key})
	return rotationOutput(r), err
}

func (c *cli) set(ctx context.Context, e *engine.Engine, ref engine.Ref, f *cardFlags) (cardOutput, error) {
	schedule, err := f.schedule()
	if err != nil {
		return cardOutput{}, err
	}
	if f.interval == 0 {
		return cardOutput{}, command.Refuse("add --interval, such as --interval 24h; to turn automatic rotation off, run cvvd card disable", "--interval is required")
	}
	s, err := e.SetInterval(ctx, ref, schedule)
	return scheduleOutput("interval set", s), err
}

func (c *cli) disable(ctx context.Context, e *engine.Engine, ref engine.Ref, _ *cardFlags) (cardOutput, error) {
	s, err := e.Disable(ctx, ref)
	return scheduleOutput("automatic rotation turned off", s), err
}

func (c *cli) unlock(ctx context.Context, e *engine.Engine, ref engine.Ref, _ *cardFlags) (cardOutput, error) {
	effect, err := e.Unlock(ctx, ref)
	if err != nil {
		return cardOutput{}, err
	}
	s, err := e.Show(ctx, ref, 1)
	if err != nil {
		return cardOutput{effect: effect}, fmt.Errorf("the card was unlocked, but showing it failed: %w", err)
	}
	s.Effect = effect
	return scheduleOutput("unlocked", s), nil
}
