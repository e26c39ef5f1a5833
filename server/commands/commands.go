// Package commands is what the program does besides serving, on the database of the same settings.
package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sohbet/models"
	"sohbet/server"
	"sohbet/server/backup"
	"sohbet/server/config"
)

// withStore runs a command that works on the database of the settings, beside a server or without one. A signal ends it.
func withStore(stderr io.Writer, command func(ctx context.Context, cfg *config.Config, store *models.Store) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	if _, err := cfg.Prepare(); err != nil {
		return err
	}
	log := server.NewLogger(stderr, cfg.LogLevel, cfg.LogFormat == "json")
	store, err := models.Open(ctx, models.Options{URL: cfg.DatabaseURL, Keys: cfg.SecretKeys, Logger: log})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() {
		if closed := store.Close(); closed != nil {
			err = errors.Join(err, fmt.Errorf("close the database: %w", closed))
		}
	}()
	return command(ctx, cfg, store)
}

// Rekey encrypts everything with the first key of SECRET_KEY, so that the others may go.
func Rekey(stdout, stderr io.Writer) error {
	return withStore(stderr, func(ctx context.Context, cfg *config.Config, store *models.Store) error {
		sum, err := store.Rekey(ctx)
		_, werr := fmt.Fprintf(stdout, "%d texts checked, %d encrypted anew with the first of %d keys, %d that no key opens left as they are\n",
			sum.Checked, sum.Rewritten, len(cfg.SecretKeys), sum.Unreadable)
		return errors.Join(err, werr)
	})
}

// Archive is the commands "backup" and "restore"; args are the rest of the command line.
func Archive(command string, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sohbet "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	force := false
	if command == "restore" {
		flags.BoolVar(&force, "force", false, "replace what is there")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return fmt.Errorf("command line: %w", err)
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("sohbet %s needs the name of one file", command)
	}
	file := flags.Arg(0)
	return withStore(stderr, func(ctx context.Context, cfg *config.Config, store *models.Store) error {
		uploads := cfg.UploadsDir()
		done, r, err := "written; keep the key (SECRET_KEY or secret.key in the data folder) elsewhere: without it nobody can read the messages", backup.Report{}, error(nil)
		if command == "backup" {
			r, err = backup.Write(ctx, file, store, uploads)
		} else {
			done = "restored"
			r, err = backup.Restore(ctx, file, store, uploads, force)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%s (%d bytes, %d uploaded files) %s\n", file, r.Bytes, r.Files, done)
		return err
	})
}
