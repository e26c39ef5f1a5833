// Package commands is the command line: the server, and commands that work on the configured database.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sohbet/server/config"
	"sohbet/server/licenses"
)

// Exit codes of the program.
const (
	ExitOK     = 0
	ExitFailed = 1 // the command failed
	ExitUsage  = 2 // the command line is invalid
)

// Program is what the command line needs from package app.
type Program struct {
	// Serve runs the server until ctx ends; it is called if no command is given. force starts it although keys of the database are missing.
	Serve func(ctx context.Context, stdout, stderr io.Writer, force bool) error
	// Version is the version alone, and VersionLine one line with version, commit and date.
	Version, VersionLine string
	// License is the text of Sohbet's licence.
	License string
}

// usageError marks an error in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Run runs the command line args (without the program's name) and returns the exit code. Errors are printed to stderr.
func Run(ctx context.Context, p Program, args []string, stdout, stderr io.Writer) int {
	root := p.root()
	translate(root)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		printError(stderr, err)
		_, _ = fmt.Fprintln(stderr, Text("sohbet help lists the commands, sohbet help COMMAND explains one.")) // an error of the terminal cannot be reported
		return ExitUsage
	}
	printError(stderr, err)
	return ExitFailed
}

func (p Program) root() *cobra.Command {
	var force bool
	root := &cobra.Command{
		Use:   "sohbet",
		Short: "Live chat for a website, in one program",
		Long: "Live chat for a website, in one program. Without a command it serves.\n\n" +
			"Settings come from the environment or from the file " + config.FileName + " in this folder; `sohbet settings` lists them.",
		Example:       "  sohbet\n  PORT=8080 DATA_DIR=/var/lib/sohbet sohbet\n  sohbet backup /backups/monday.sohbet",
		Args:          p.noCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.Serve(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), force)
		},
	}
	root.Flags().BoolVar(&force, "force", false, "start although SECRET_KEY is not the key of the database; its texts cannot be read then")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{flagError(c, err)} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.version(), p.licenses(), settings(), backupCommand(), restoreCommand(), rekey(), prune(), compact(), agentCommands(), logoutAll(), doctor())
	return root
}

// noCommand rejects unknown commands; cobra's error would call them arguments.
func (p Program) noCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf(Text("there is no command %q"), args[0])}
	}
	return nil
}

// exactly requires n arguments, described by what.
func exactly(n int, what string) cobra.PositionalArgs { return between(n, n, what) }

func between(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf(Text("%s takes %s"), c.CommandPath(), Text(what))}
		}
		return nil
	}
}

func (p Program) licenses() *cobra.Command {
	return &cobra.Command{
		Use: "licenses", Short: "Print the licences of Sohbet and of the software in it", Args: exactly(0, "nothing more"),
		RunE: func(c *cobra.Command, _ []string) error {
			return licenses.Write(c.OutOrStdout(), p.License)
		},
	}
}

func settings() *cobra.Command {
	table := false
	c := &cobra.Command{
		Use: "settings", Short: "List every setting, as an example of " + config.FileName, Args: exactly(0, "nothing more"),
		Example: "  sohbet settings > " + config.FileName,
		RunE: func(c *cobra.Command, _ []string) error {
			if table {
				return config.WriteTable(c.OutOrStdout())
			}
			return config.WriteExample(c.OutOrStdout())
		},
	}
	c.AddCommand(settingCommands()...)
	c.Flags().BoolVar(&table, "table", false, "as the table in README.md")
	return c
}

// printError prints an error to the terminal, each line with a prefix.
func printError(stderr io.Writer, err error) {
	_, _ = fmt.Fprintln(stderr, "sohbet: "+strings.ReplaceAll(Localized(err.Error()), "\n", "\nsohbet: ")) // an error of the terminal cannot be reported
}
