package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/config"
	"sohbet/server/liveconfig"
)

// settingCommands are the commands that read and change what owners set in the console.
func settingCommands() []*cobra.Command {
	return []*cobra.Command{
		{
			Use: "get [NAME]", Short: "Print the value of a setting, or all with where they come from; secrets are not shown",
			Args: between(0, 1, "one name at most"), Example: "  sohbet settings get OPENING_HOURS", RunE: getSetting,
		},
		{
			Use: "set NAME [VALUE]", Short: "Change a setting as in the console; without a value it is read from the input",
			Args: between(1, 2, "one name and perhaps a value"), Example: "  sohbet settings set BRAND_NAME \"Tea House\"",
			RunE: func(c *cobra.Command, args []string) error {
				if len(args) == 1 { // a secret, which other users of the machine must not see in the list of processes
					text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 4*models.MaxSetting+1))
					if err != nil {
						return err
					}
					args = append(args, strings.TrimSpace(string(text)))
				}
				if args[1] == "" {
					return errors.New(Text("there is no value; to set a setting back use sohbet settings unset"))
				}
				return changeSetting(c, args[0], args[1])
			},
		},
		{
			Use: "unset NAME", Short: "Set a setting back to its default", Args: exactly(1, "one name"), Example: "  sohbet settings unset BRAND_NAME",
			RunE: func(c *cobra.Command, args []string) error { return changeSetting(c, args[0], "") },
		},
	}
}

func getSetting(c *cobra.Command, args []string) error {
	return withStore(c, models.RefuseMissingKeys, func(_ context.Context, cfg *config.Config, store *models.Store, _ *slog.Logger) error {
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		found := false
		for _, s := range cfg.Describe(store.Settings()) {
			value := s.Value
			if s.Secret && s.Set {
				value = "****"
			}
			switch {
			case len(args) == 0:
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, Text(s.Source), value) // Flush returns its error
			case s.Name == args[0]:
				found = true
				_, _ = fmt.Fprintln(w, value)
			}
		}
		if len(args) == 1 && !found {
			return fmt.Errorf(Text("there is no setting %q; sohbet settings get shows all"), args[0])
		}
		return w.Flush()
	})
}

func changeSetting(c *cobra.Command, name, value string) error {
	return withStore(c, models.RefuseMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) error {
		wrong, err := liveconfig.New(store, cfg).Change(ctx, 0, map[string]string{name: value})
		if err != nil {
			return err
		}
		if why := wrong[name]; why != nil {
			return errors.New(config.Line(name, value, why))
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), Text("done"))
		return errors.Join(err, recordOnTerminal(ctx, store, log, audit.Event{Name: audit.SettingChange, Detail: name}))
	})
}
