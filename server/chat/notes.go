package chat

import (
	"context"
	"strings"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// Note is an internal note of the team on a thread. It is sent only to agents.
type Note struct {
	ID       int64  `json:"id"`
	ThreadID string `json:"thread_id"`
	ClientID string `json:"client_id"`
	Text     string `json:"text"`
	Author   string `json:"author"`

	Agent     *AgentReference `json:"agent"` // null for the team without saying who
	CreatedAt Time            `json:"created_at"`
	AfterID   int64           `json:"after_id"` // the thread's newest message when the note was written, which determines where it is shown
	UnseenBy  models.AgentIDs `json:"unseen_by"`
}

func (s *Service) note(n models.Note) Note {
	unseen := n.UnseenBy
	if unseen == nil {
		unseen = models.AgentIDs{}
	}
	return Note{UnseenBy: unseen, Agent: s.reference(n.AgentID), ID: n.ID, ThreadID: n.ThreadID, ClientID: n.ClientID, Text: n.ContentText, Author: n.Author, CreatedAt: Time(n.CreatedAt), AfterID: n.AfterID}
}

type noteAdded struct {
	Note Note `json:"note"`
}

type noteDeleted struct {
	ThreadID string `json:"thread_id"`
	ID       int64  `json:"id"`
}

// checkNote validates the text of a note or a canned reply.
func checkNote(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return apperr.Invalid("text", "The text is empty.")
	case utf8.RuneCountInString(text) > models.MaxContentText:
		return apperr.Invalid("text", "The text is too long: it may have 10,000 characters at most.")
	case strings.ContainsRune(text, 0):
		return apperr.Invalid("text", "The text holds a NUL character, which cannot be stored.")
	}
	return nil
}

// AddNote stores a note. A note with the same clientID in the same thread is stored only once. It emits "note_added" to the other
// agents, and notifies the agents that the text mentions.
func (s *Service) AddNote(ctx context.Context, a Actor, threadID, text, clientID string) (Note, error) {
	if err := agentOnly(a); err != nil {
		return Note{}, err
	}
	if err := a.reach(threadID); err != nil {
		return Note{}, err
	}
	if err := checkNote(text); err != nil {
		return Note{}, err
	}
	if utf8.RuneCountInString(clientID) > models.MaxClientID {
		return Note{}, apperr.Invalid("client_id", "client_id must have at most 64 characters.")
	}
	if strings.ContainsRune(clientID, 0) {
		return Note{}, apperr.Invalid("client_id", "client_id holds a NUL character, which cannot be stored.")
	}
	if err := s.mayStore(ctx, a, threadID, text); err != nil {
		return Note{}, err
	}
	stored, added, err := s.store.AddNote(ctx, models.Note{ThreadID: threadID, ClientID: clientID, ContentText: text, Author: a.Name, AgentID: a.AgentID, CreatedAt: s.now(), UnseenBy: s.mentioned(text, a.AgentID)})
	if err != nil {
		return Note{}, s.notSaved(ctx, err)
	}
	n := s.note(stored)
	if added {
		s.publisher.Publish(Publication{Except: a.SocketID, Agents: []*Event{{"note_added", noteAdded{n}}}})
		s.notifyMentioned(ctx, a, stored)
	}
	return n, nil
}

// Notes lists a thread's notes, oldest first, at most models.MaxNotes. seen reports whether the agent sees them now.
func (s *Service) Notes(ctx context.Context, a Actor, threadID string, seen bool) ([]Note, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	if err := a.reach(threadID); err != nil {
		return nil, err
	}
	list, err := s.store.Notes(ctx, threadID)
	if err != nil {
		return nil, Public(err)
	}
	if seen {
		s.markNotesSeen(ctx, a, threadID, list)
	}
	notes := make([]Note, len(list))
	for i, n := range list {
		notes[i] = s.note(n)
	}
	return notes, nil
}

// DeleteNote deletes a note. It emits "note_deleted" to all agents.
func (s *Service) DeleteNote(ctx context.Context, a Actor, threadID string, id int64) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if err := s.store.DeleteNote(ctx, threadID, id); err != nil {
		return Public(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.NoteDelete, ThreadID: threadID})
	s.publishNoteDeleted(threadID, id)
	return nil
}

func (s *Service) publishNoteDeleted(threadID string, id int64) {
	s.publisher.Publish(Publication{Agents: []*Event{{"note_deleted", noteDeleted{threadID, id}}}})
}
