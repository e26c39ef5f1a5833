package chat

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// Assign changes the assignee of a thread, 0 for none, and emits "thread_updated" to agents. from is the assignee that the client knows,
// 0 for none; nil = not given. The error has apperr.CodeConflict if that is wrong or, without from, if an agent takes
// a thread that another enabled agent has taken. An agent who gets the thread from another one is notified; text is that of a note which
// is stored with it, "" for none.
func (s *Service) Assign(ctx context.Context, a Actor, threadID string, to models.AgentID, from *models.AgentID, text string) error {
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
	var receivers models.AgentIDs
	if to != 0 && to != a.AgentID {
		receivers = models.AgentIDs{to}
	}
	note, err := s.handOverNote(ctx, a, threadID, text, receivers)
	if err != nil {
		return err
	}
	var before models.AgentID
	t, err := s.store.Assign(ctx, threadID, to, func(present models.AgentID) bool {
		before = present
		if from != nil {
			return present == *from
		}
		return to != a.AgentID || present == 0 || present == to || s.store.Disabled(present)
	}, note)
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
	if note != nil {
		s.publisher.Publish(Publication{Agents: []*Event{{"note_added", noteAdded{s.note(*note)}}}})
		mentioned := slices.DeleteFunc(slices.Clone(note.UnseenBy), func(id models.AgentID) bool { return id == to })
		s.notifyAgents(a, mentioned, NotifiedMention, t, text)
	}
	s.notifyAgents(a, receivers, NotifiedAssigned, t, text)
	return nil
}

// handOverNote returns the note to store when a thread is handed over, nil without a text. It notifies the receivers, and the agents that it mentions.
func (s *Service) handOverNote(ctx context.Context, a Actor, threadID, text string, receivers models.AgentIDs) (*models.Note, error) {
	if text == "" {
		return nil, nil
	}
	if err := checkNote(text); err != nil {
		return nil, err
	}
	if err := s.mayStore(ctx, a, threadID, text); err != nil {
		return nil, err
	}
	unseen := append(receivers[:len(receivers):len(receivers)], s.mentioned(text, a.AgentID)...)
	slices.Sort(unseen)
	return &models.Note{ThreadID: threadID, ContentText: text, Author: a.Name, AgentID: a.AgentID, CreatedAt: s.now(), UnseenBy: slices.Compact(unseen)}, nil
}

// answering returns the enabled agent who answers a thread; 0 = none.
func (s *Service) answering(t models.Thread) models.AgentID {
	if s.store.Disabled(t.AssigneeID) {
		return 0
	}
	return t.AssigneeID
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
