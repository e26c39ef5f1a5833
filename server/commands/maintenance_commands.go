package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sohbet/models"
	"sohbet/models/reencrypt"
	"sohbet/server/audit"
	"sohbet/server/backup"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/config"
	"sohbet/server/jobs"
	"sohbet/server/lock"
	"sohbet/server/logging"
)

// withStore runs a command on the configured database; a server may run at the same time. missing says what to do if keys of the
// database are missing.
func withStore(c *cobra.Command, missing models.MissingKeys, command func(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) error) (err error) {
	ctx := c.Context()
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	if _, err := cfg.Prepare(); err != nil {
		return err
	}
	log := logging.New(c.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat == "json")
	store, err := models.Open(ctx, models.Options{URL: cfg.DatabaseURL, Keys: cfg.SecretKeys, MissingKeys: missing, Logger: log})
	if err != nil {
		return fmt.Errorf(Text("database: %w"), err)
	}
	defer func() {
		if closed := store.Close(); closed != nil {
			err = errors.Join(err, fmt.Errorf(Text("close the database: %w"), closed))
		}
	}()
	if err := backup.Sweep(ctx, cfg.UploadsDir(), store, log); err != nil {
		log.Error("cannot remove what a killed command left", "error", err)
	}
	return command(ctx, cfg, store, log)
}

// warnOfMissingKeys is for commands that need no key, which may therefore run where a server started with --force does.
func warnOfMissingKeys(store *models.Store, log *slog.Logger) {
	if missing := store.MissingKeys(); missing != nil {
		log.Warn(missing.Error())
	}
}

func rekey() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use: "rekey", Short: "Re-encrypt all texts with the first key of SECRET_KEY, so that the others can be removed",
		Long: "Re-encrypt all texts with the first key of SECRET_KEY, so that the others can be removed. The server may run meanwhile.",
		Args: exactly(0, "nothing but flags"), Example: "  SECRET_KEY=new,old sohbet rekey",
		RunE: func(c *cobra.Command, _ []string) error {
			missing := models.RefuseMissingKeys
			if force {
				missing = models.AcceptMissingKeys
			}
			return withStore(c, missing, func(ctx context.Context, cfg *config.Config, store *models.Store, _ *slog.Logger) error {
				j, err := jobs.Foreground(ctx, store, models.JobRekey, store.KeyID(), jobs.Rekey(store), showProgress(c, "texts checked"))
				sum, derr := jobs.Decode[reencrypt.State](j)
				_, werr := fmt.Fprintf(c.OutOrStdout(), Text("%d texts checked, %d re-encrypted with the first of %d keys, %d that no key decrypts left unchanged\n"),
					sum.Checked, sum.Rewritten, len(cfg.SecretKeys), sum.Unreadable)
				return errors.Join(err, derr, werr)
			})
		},
	}
	command.Flags().BoolVar(&force, "force", false, "give up the texts whose key is lost, so that the server starts without --force again")
	return command
}

func logoutAll() *cobra.Command {
	return &cobra.Command{
		Use: "logout-all", Short: "Sign all agents out, in every browser",
		Long: "Sign all agents out, in every browser. The server may run meanwhile; it closes open consoles within seconds.",
		Args: exactly(0, "nothing more"), Example: "  sohbet logout-all",
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, models.IgnoreMissingKeys, func(ctx context.Context, _ *config.Config, store *models.Store, log *slog.Logger) error {
				warnOfMissingKeys(store, log)
				if err := store.EndAllSessions(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), Text("all agents are signed out; open consoles close within seconds"))
				return errors.Join(err, recordOnTerminal(ctx, store, log, audit.Event{Name: audit.LogoutAll}))
			})
		},
	}
}

func backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Back up database and uploads to one file",
		Long: "Back up database and uploads to one file. The server may run meanwhile. Messages are encrypted in it too:\n" +
			"keep the key (SECRET_KEY, or secret.key in the data folder) elsewhere.",
		Args: exactly(1, "the name of one file"), Example: "  sohbet backup /backups/monday.sohbet",
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c, models.IgnoreMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) error {
				warnOfMissingKeys(store, log)
				if err := backup.SweepFolder(filepath.Dir(args[0]), log); err != nil {
					log.Error("cannot remove what a killed command left", "error", err)
				}
				r, err := backup.Write(ctx, args[0], store, cfg.UploadsDir())
				if r.Missing > 0 && err == nil {
					log.Warn("uploaded files that messages refer to are missing in the uploads folder, and so in the backup", "files", r.Missing)
				}
				return report(c, args[0], r, err,
					"written; keep the key (SECRET_KEY or secret.key in the data folder) elsewhere: without it the messages cannot be read")
			})
		},
	}
}

func restoreCommand() *cobra.Command {
	var o backup.Options
	command := &cobra.Command{
		Use: "restore FILE", Short: "Restore a backup",
		Long: "Restore a backup of this or an older version into the configured database, SQLite or PostgreSQL, whichever it was made of.\n" +
			"Stop the server first.",
		Args: exactly(1, "the name of one file"), Example: "  sohbet restore /backups/monday.sohbet\n  sohbet restore --force /backups/monday.sohbet",
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c, models.IgnoreMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, _ *slog.Logger) (err error) {
				held, err := lock.Take(cfg.LockFiles()...) // a running server would continue with its cached data
				if err != nil && !errors.Is(err, lock.ErrUnsupported) {
					return err
				}
				if held != nil {
					defer func() { err = errors.Join(err, held.Close()) }()
				}
				r, err := backup.Restore(ctx, args[0], store, cfg.UploadsDir(), o)
				return report(c, args[0], r, err, "restored")
			})
		},
	}
	command.Flags().BoolVar(&o.Force, "force", false, "replace existing data")
	command.Flags().BoolVar(&o.Unreadable, "unreadable", false, "restore although SECRET_KEY is not the key of the backup; its texts cannot be read then")
	return command
}

func report(c *cobra.Command, file string, r backup.Report, err error, done string) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), Text("%s (%d bytes, %d uploaded files) %s\n"), file, r.Bytes, r.Files, Text(done))
	return err
}

func prune() *cobra.Command {
	var days int
	command := &cobra.Command{
		Use: "prune", Short: "Delete expired data now",
		Long: "Delete expired data now: messages older than MESSAGE_RETENTION_DAYS (or --days), conversations without messages\n" +
			"after a day, used sign-in codes. The server does the same every hour; it may run meanwhile.",
		Args: exactly(0, "nothing but flags"), Example: "  sohbet prune\n  sohbet prune --days 365",
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 0 {
				return usageError{errors.New(Text("--days takes a number of days, 0 to keep messages of any age"))}
			}
			return withStore(c, models.IgnoreMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) error {
				warnOfMissingKeys(store, log)
				if !c.Flags().Changed("days") {
					now, _ := cfg.With(store.Settings())
					days = now.RetentionDays
				}
				room := chat.New(chat.Options{Store: store, Publisher: discardPublisher{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}, AuditRetention: cfg.AuditRetention, Logger: log})
				j, err := jobs.Foreground(ctx, store, models.JobPrune, strconv.Itoa(days), room.Prune(func() time.Duration { return 0 }), showProgress(c, "messages deleted"))
				swept, derr := jobs.Decode[chat.Swept](j)
				codes, failed := store.PurgeCodes(ctx, store.Now())
				_, werr := fmt.Fprintf(c.OutOrStdout(), Text("%d messages, %d conversations and %d sign-in codes deleted\n"), swept.Messages, swept.Threads, codes)
				return errors.Join(err, derr, failed, werr)
			})
		},
	}
	command.Flags().IntVar(&days, "days", 0, "delete messages older than this many days, instead of MESSAGE_RETENTION_DAYS")
	return command
}

func compact() *cobra.Command {
	return &cobra.Command{
		Use: "compact", Short: "Return the space of deleted data to the system",
		Long: "Return the space of deleted data to the system, in small steps. The server may run meanwhile; only an SQLite file that an\n" +
			"earlier version created is rewritten as a whole once, for which the server must be stopped.",
		Args: exactly(0, "nothing more"), Example: "  sohbet compact",
		RunE: func(c *cobra.Command, _ []string) error {
			return withStore(c, models.IgnoreMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, _ *slog.Logger) (err error) {
				held, locked := lock.Take(cfg.LockFiles()...) // held by a running server
				if held != nil {
					defer func() { err = errors.Join(err, held.Close()) }()
				}
				j, err := jobs.Foreground(ctx, store, models.JobCompact, "", jobs.Compact(store, locked == nil), showProgress(c, "pages returned"))
				if err != nil {
					return err
				}
				sizes, err := jobs.Decode[models.Compacted](j)
				if err == nil && sizes.Whole {
					return errors.New(Text("this file was created by an earlier version: stop the server and run sohbet compact once; then it can be compacted while the server runs"))
				}
				_, werr := fmt.Fprintf(c.OutOrStdout(), Text("%d bytes before, %d bytes now\n"), sizes.Before, sizes.After)
				return errors.Join(err, werr)
			})
		},
	}
}

// showProgress returns a function that writes the progress of a job to a terminal.
func showProgress(c *cobra.Command, unit string) func(models.Job) {
	return func(j models.Job) {
		total := ""
		if j.Total > 0 {
			total = fmt.Sprintf(" / %d", j.Total)
		}
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "%d%s %s\n", j.Done, total, Text(unit)) // an error of the terminal cannot be reported
	}
}

// discardPublisher is a publisher without receivers: the sockets are connected to another process.
type discardPublisher struct{}

// Publish discards the publication.
func (discardPublisher) Publish(chat.Publication) {}
