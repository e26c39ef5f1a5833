package agents

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/auth"
)

// Lengths of passwords.
const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
)

// Service manages the accounts of agents. It is safe for concurrent use.
type Service struct {
	Store     *models.Store
	Passwords *auth.Passwords
	Status    func(agent int64) Status
	Base      string // URL path prefix of this server's files in browsers; "" = the root
}

// View is docs/protocol.md, "Agent object".
type View struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	Role      string `json:"role"`
	AvatarURL string `json:"avatar_url"`
	Locale    string `json:"locale"`
	Online    bool   `json:"online"`
	Away      bool   `json:"away"`
	Disabled  bool   `json:"disabled"`
	Password  bool   `json:"password"` // whether there is one
	TOTP      bool   `json:"totp"`     // whether signing in takes a code of an authenticator app
	Telegram  bool   `json:"telegram"` // whether a Telegram account is linked
}

// View returns an agent in wire format.
func (s *Service) View(a models.Agent) View {
	status := s.Status(a.ID)
	if a.AvatarURL != "" {
		a.AvatarURL = s.Base + a.AvatarURL
	}
	return View{
		ID: a.ID, Name: a.Name, Email: a.Email, Role: a.Role, AvatarURL: a.AvatarURL, Locale: a.Locale,
		Online: status.Online, Away: status.Away, Disabled: !a.Enabled(), Password: a.PasswordHash != "", TOTP: a.TOTPSecret != "", Telegram: a.TelegramID != "",
	}
}

// CheckPassword reports whether an entered password is right, see [auth.Passwords.Check].
func (s *Service) CheckPassword(ctx context.Context, a auth.Attempt) (bool, error) {
	return s.Passwords.Check(ctx, a)
}

// Change is what agents may change about themselves; nil = unchanged.
type Change struct{ Name, Email, Locale, Password *string }

// Change changes an agent on the agent's own behalf. A new password ends the agent's sessions.
func (s *Service) Change(ctx context.Context, me models.Agent, c Change) (models.Agent, error) {
	p := models.AgentPatch{Name: c.Name, Email: c.Email, Locale: c.Locale}
	if c.Email != nil {
		if err := checkEmail(*c.Email); err != nil {
			return models.Agent{}, err
		}
	}
	if c.Password != nil {
		hash, err := s.hash(*c.Password)
		if err != nil {
			return models.Agent{}, err
		}
		p.PasswordHash = &hash
	}
	return s.Update(ctx, me.ID, p)
}

// Update changes an agent.
func (s *Service) Update(ctx context.Context, id int64, p models.AgentPatch) (models.Agent, error) {
	a, err := s.Store.UpdateAgent(ctx, id, p)
	return a, public(err, "There is no such agent.")
}

// Invite returns the token with which someone becomes an agent with a role, and until when it is valid.
func (s *Service) Invite(ctx context.Context, by models.Agent, role, email string) (token string, expires time.Time, err error) {
	email = strings.TrimSpace(email)
	if role != models.RoleOwner && role != models.RoleAgent {
		return "", time.Time{}, apperr.Invalid("role", "role must be owner or agent.")
	}
	if err := checkEmail(email); err != nil {
		return "", time.Time{}, err
	}
	known := slices.ContainsFunc(s.Store.Agents(), func(a models.Agent) bool { return a.Email != "" && a.Email == strings.ToLower(email) })
	if known {
		return "", time.Time{}, public(models.ErrEmailTaken, "")
	}
	token, i, err := s.Store.Invite(ctx, role, email, models.AgentID(by.ID))
	return token, i.ExpiresAt, err
}

// LinkPassword returns the token with which an agent sets a new password, and until when it is valid.
func (s *Service) LinkPassword(ctx context.Context, by models.Agent, id int64) (token string, expires time.Time, err error) {
	who, found := s.Store.Agent(id)
	if id == 0 || !found || !who.Enabled() {
		return "", time.Time{}, public(models.ErrNotFound, "There is no such agent, or the agent may not sign in.")
	}
	token, i, err := s.Store.LinkPassword(ctx, who, models.AgentID(by.ID))
	return token, i.ExpiresAt, err
}

// SetLinkedPassword sets a new password of the agent of a link, and ends the agent's sessions.
func (s *Service) SetLinkedPassword(ctx context.Context, token, password string) (models.Agent, error) {
	a, err := s.setLinkedPassword(ctx, token, password)
	return a, public(err, "This link was used or has expired.")
}

func (s *Service) setLinkedPassword(ctx context.Context, token, password string) (models.Agent, error) {
	if _, err := s.Store.PasswordLink(ctx, token); err != nil { // before the password is hashed, which takes long
		return models.Agent{}, err
	}
	hash, err := s.hash(password)
	if err != nil {
		return models.Agent{}, err
	}
	return s.Store.UsePasswordLink(ctx, token, hash)
}

// CheckInvitation returns an error unless a token is of a valid invitation.
func (s *Service) CheckInvitation(ctx context.Context, token string) error {
	_, err := s.Store.Invitation(ctx, token)
	return public(err, goneInvitation)
}

const goneInvitation = "This invitation was used or has expired."

// Guest is someone who accepts an invitation, with a password or a passkey.
type Guest struct {
	Name, Email, Password, Locale string
	Passkey                       *models.Passkey
}

// Join makes an agent of a guest. An empty e-mail address is that of the invitation.
func (s *Service) Join(ctx context.Context, token string, g Guest) (models.Agent, error) {
	a, err := s.join(ctx, token, g)
	return a, public(err, goneInvitation)
}

func (s *Service) join(ctx context.Context, token string, g Guest) (models.Agent, error) {
	i, err := s.Store.Invitation(ctx, token) // before the password is hashed, which takes long
	if err != nil {
		return models.Agent{}, err
	}
	if err := checkEmail(g.Email); err != nil {
		return models.Agent{}, err
	}
	hash := ""
	if g.Passkey == nil || g.Password != "" {
		if hash, err = s.hash(g.Password); err != nil {
			return models.Agent{}, err
		}
	}
	a := models.Agent{Name: g.Name, Email: strings.TrimSpace(g.Email), Locale: g.Locale, PasswordHash: hash}
	if a.Email == "" {
		a.Email = i.Email
	}
	return s.Store.AcceptInvitation(ctx, token, a, g.Passkey)
}

func (s *Service) hash(password string) (string, error) {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "", apperr.Invalid("password", "The password must have at least 12 characters.")
	case len(password) > maxPassword:
		return "", apperr.Invalid("password", "The password may have 1,024 bytes at most.")
	}
	return s.Passwords.Hash(password)
}

// checkEmail refuses what is no address; an agent may have none.
func checkEmail(email string) error {
	email = strings.TrimSpace(email)
	if a, err := mail.ParseAddress(email); email == "" || err == nil && a.Address == email {
		return nil
	}
	return apperr.Invalid("email", "email must be an e-mail address.")
}

// public converts an error of the store to the form that is sent to clients.
func public(err error, missing string) error {
	conflict := func(code, message string) error {
		return &apperr.Error{Status: http.StatusConflict, Code: code, Message: message}
	}
	var bad *models.InvalidError
	switch {
	case errors.Is(err, models.ErrNameTaken):
		return conflict(apperr.CodeNameTaken, "Another agent has this name.")
	case errors.Is(err, models.ErrEmailTaken):
		return conflict(apperr.CodeEmailTaken, "Another agent has this e-mail address.")
	case errors.Is(err, models.ErrLastOwner):
		return conflict(apperr.CodeLastOwner, "There must be an owner who is not disabled.")
	case errors.Is(err, models.ErrNotFound):
		return &apperr.Error{Status: http.StatusNotFound, Code: apperr.CodeNotFound, Message: missing}
	case errors.As(err, &bad):
		return apperr.Invalid(bad.Field, bad.Field+": "+bad.Reason+".")
	}
	return err
}
