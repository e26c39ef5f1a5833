package chat

import (
	"context"
	"errors"
	"net/http"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// Assign changes the assignee of a thread, 0 for none, and emits "thread_updated" to agents. from is the assignee that the client knows,
// 0 for none; nil = not given. The error has apperr.CodeConflict if that is wrong or, without from, if an agent takes
// a thread that another enabled agent has taken.
func (s *Service) Assign(ctx context.Context, a Actor, threadID string, to models.AgentID, from *models.AgentID) error {
	if a.Role != Telegram || a.AgentID == 0 {
		if err := agentOnly(a); err != nil {
			return err
		}
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if to != 0 && !s.mayAnswer(to) {
		return apperr.Invalid("agent_id", "There is no such agent, or it is disabled.")
	}
	var before models.AgentID
	t, err := s.store.Assign(ctx, threadID, to, func(present models.AgentID) bool {
		before = present
		if from != nil {
			return present == *from
		}
		return to != a.AgentID || present == 0 || present == to || s.store.Disabled(present)
	})
	if errors.Is(err, models.ErrAssigned) {
		return s.errTaken(t)
	}
	if err != nil {
		return Public(err)
	}
	if before != to {
		s.logAssigned(ctx, a, threadID, to)
	}
	s.publishThread(t)
	return nil
}

func (s *Service) logAssigned(ctx context.Context, a Actor, threadID string, to models.AgentID) {
	event := audit.ThreadAssign
	if to == 0 {
		event = audit.ThreadUnassign
	}
	s.logAudit(ctx, a, audit.Event{Name: event, ThreadID: threadID, AboutAgent: to})
}

// mayAnswer reports whether an agent, not 0, exists and is enabled.
func (s *Service) mayAnswer(id models.AgentID) bool {
	who, found := s.store.Agent(int64(id))
	return found && who.Enabled()
}

func (s *Service) errTaken(t models.Thread) error {
	message := "This conversation is not assigned any more."
	if who := s.reference(t.AssigneeID); who != nil {
		message = who.Name + " has taken this conversation."
	}
	return &apperr.Error{Code: apperr.CodeConflict, Message: message, Status: http.StatusConflict, Rev: t.Rev}
}
