package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sohbet/models"
	"sohbet/models/names"
	"sohbet/server/agents"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/config"
)

func agentCommands() *cobra.Command {
	c := &cobra.Command{
		Use: "agent", Short: "List, add and change the agents who sign in",
		Long:    "List, add and change the agents who sign in. The server may run meanwhile.\nAGENT is the name, e-mail address or number of one.",
		Example: "  sohbet agent list\n  sohbet agent add Ada --email ada@shop.example\n  sohbet agent reset Ada",
		Args:    exactly(0, "one of its commands"),
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(listAgents(), addAgent(), resetAgent(), switchAgent("disable", "Forbid an agent to sign in, and end the agent's sessions", true),
		switchAgent("enable", "Allow a disabled agent to sign in again", false))
	return c
}

// withAgents runs a command on the agents of the configured database, which include the owner that the settings describe.
func withAgents(c *cobra.Command, command func(ctx context.Context, store *models.Store, owner models.Agent, log *slog.Logger) error) error {
	return withStore(c, models.RefuseMissingKeys, func(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) error {
		owner, err := agents.EnsureOwner(ctx, store, cfg.AdminUsername, cfg.AdminPassword)
		if err != nil {
			return err
		}
		return command(ctx, store, owner, log)
	})
}

func listAgents() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all agents", Args: exactly(0, "nothing more"), Example: "  sohbet agent list",
		RunE: func(c *cobra.Command, _ []string) error {
			return withAgents(c, func(_ context.Context, store *models.Store, _ models.Agent, _ *slog.Logger) error {
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, a := range store.Agents() {
					state := ""
					if !a.Enabled() {
						state = Text("disabled")
					}
					if _, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", a.ID, a.Name, a.Email, a.Role, state); err != nil {
						return err
					}
				}
				return w.Flush()
			})
		},
	}
}

func addAgent() *cobra.Command {
	a := models.Agent{}
	c := &cobra.Command{
		Use: "add NAME", Short: "Add an agent and print a password",
		Args: exactly(1, "one name"), Example: "  sohbet agent add Ada --email ada@shop.example --role owner",
		RunE: func(c *cobra.Command, args []string) error {
			return withAgents(c, func(ctx context.Context, store *models.Store, owner models.Agent, log *slog.Logger) error {
				password, hash, err := newPassword(owner)
				if err != nil {
					return err
				}
				a.Name, a.PasswordHash = args[0], hash
				added, err := store.AddAgent(ctx, a)
				if err != nil {
					return plain(err)
				}
				return changed(c, ctx, store, log, added, Text("added; password: %s\n"), password)
			})
		},
	}
	c.Flags().StringVar(&a.Email, "email", "", "e-mail address, with which the agent can sign in too")
	c.Flags().StringVar(&a.Role, "role", models.RoleAgent, "owner or agent")
	return c
}

func resetAgent() *cobra.Command {
	return &cobra.Command{
		Use: "reset AGENT", Short: "Give an agent a new password, print it, remove the authenticator app and passkeys, and end the agent's sessions",
		Args: exactly(1, "one agent"), Example: "  sohbet agent reset Ada",
		RunE: func(c *cobra.Command, args []string) error {
			return withAgents(c, func(ctx context.Context, store *models.Store, owner models.Agent, log *slog.Logger) error {
				password, hash, err := newPassword(owner)
				if err != nil {
					return err
				}
				return updateAgent(c, ctx, store, log, args[0], models.AgentPatch{PasswordHash: &hash, RemoveTOTP: true, RemovePasskeys: true}, Text("new password: %s\n"), password)
			})
		},
	}
}

func switchAgent(use, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " AGENT", Short: short, Args: exactly(1, "one agent"), Example: "  sohbet agent " + use + " Ada",
		RunE: func(c *cobra.Command, args []string) error {
			return withAgents(c, func(ctx context.Context, store *models.Store, _ models.Agent, log *slog.Logger) error {
				return updateAgent(c, ctx, store, log, args[0], models.AgentPatch{Disabled: &disabled}, "%s\n", Text("done"))
			})
		},
	}
}

// newPassword returns a random password and its hash.
func newPassword(owner models.Agent) (password, hash string, err error) {
	passwords, err := auth.NewPasswords(owner.AdminPasswordHash, time.Now)
	if err != nil {
		return "", "", err
	}
	password = strings.ToLower(rand.Text())
	hash, err = passwords.Hash(password)
	return password, hash, err
}

func updateAgent(c *cobra.Command, ctx context.Context, store *models.Store, log *slog.Logger, which string, p models.AgentPatch, done string, args ...any) error {
	a, err := oneAgent(store.Agents(), which)
	if err != nil {
		return err
	}
	if _, err := store.UpdateAgent(ctx, a.ID, p); err != nil {
		return plain(err)
	}
	return changed(c, ctx, store, log, a, done, args...)
}

// plain returns an error of the store in the terminal's language.
func plain(err error) error {
	switch {
	case errors.Is(err, models.ErrNameTaken):
		return errors.New(Text("another enabled agent has this name"))
	case errors.Is(err, models.ErrEmailTaken):
		return errors.New(Text("another agent has this e-mail address"))
	case errors.Is(err, models.ErrLastOwner):
		return errors.New(Text("there must be an enabled owner; make another agent an owner first"))
	}
	return err
}

// oneAgent returns the agent with a number, name or e-mail address. Of several with a name, all but one are disabled.
func oneAgent(list []models.Agent, which string) (models.Agent, error) {
	var found []models.Agent
	for _, a := range list {
		if strconv.FormatInt(a.ID, 10) == which || names.Fold(a.Name) == names.Fold(which) || a.Email != "" && strings.EqualFold(a.Email, which) {
			found = append(found, a)
		}
	}
	if len(found) > 1 {
		if i := slices.IndexFunc(found, models.Agent.Enabled); i >= 0 {
			return found[i], nil
		}
		return models.Agent{}, fmt.Errorf(Text("several agents are called %q; give the number of one"), which)
	}
	if len(found) == 0 {
		return models.Agent{}, fmt.Errorf(Text("there is no agent %q; sohbet agent list shows all"), which)
	}
	return found[0], nil
}

// changed writes what was done with an agent to the terminal and to the audit log.
func changed(c *cobra.Command, ctx context.Context, store *models.Store, log *slog.Logger, a models.Agent, done string, args ...any) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), done, args...)
	return errors.Join(err, recordOnTerminal(ctx, store, log, audit.Event{Name: audit.AgentChange, AboutAgent: models.AgentID(a.ID)}))
}

// recordOnTerminal writes what was done on the terminal to the audit log, without a row if keys are missing, which would encrypt it.
func recordOnTerminal(ctx context.Context, store *models.Store, log *slog.Logger, e audit.Event) error {
	var rows audit.Store
	if store.MissingKeys() == nil {
		rows = store
	}
	e.Actor, e.Outcome = "terminal", audit.OK
	trail := audit.New(log, time.Now, rows)
	trail.Write(ctx, e)
	return trail.Close()
}
