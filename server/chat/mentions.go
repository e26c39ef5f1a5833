package chat

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/models/names"
)

// Why agents are notified.
const (
	NotifiedMention  = "mention"  // a note mentions the agent
	NotifiedAssigned = "assigned" // another agent handed the thread over
)

// notified is docs/protocol.md, "Server event `agent_notified`".
type notified struct {
	AgentID models.AgentID  `json:"agent_id"`
	Kind    string          `json:"kind"`
	By      *AgentReference `json:"by"`
	Text    string          `json:"text"`
	Thread  threadUpdated   `json:"thread"`
}

type notesSeen struct {
	ThreadID string         `json:"thread_id"`
	AgentID  models.AgentID `json:"agent_id"`
}

// maxMentioned is how many threads with unseen mentions a console is told of.
const maxMentioned = 50

// mentioned returns the enabled agents, other than the author, whose names follow an @ in a text: the longest name that fits, regardless of
// case.
func (s *Service) mentioned(text string, author models.AgentID) (found models.AgentIDs) {
	if !strings.Contains(text, "@") {
		return nil
	}
	text = names.Fold(text)
	team := slices.DeleteFunc(s.store.Agents(), func(a models.Agent) bool { return !a.Enabled() })
	slices.SortStableFunc(team, func(a, b models.Agent) int { return cmp.Compare(len(b.Name), len(a.Name)) })
	for _, who := range team {
		var others strings.Builder // what is left for shorter names
		named := false
		for rest, name := text, "@"+names.Fold(who.Name); ; {
			before, after, ok := strings.Cut(rest, name)
			others.WriteString(before)
			if !ok {
				break
			}
			if next, _ := utf8.DecodeRuneInString(after); unicode.IsLetter(next) || unicode.IsDigit(next) {
				others.WriteString(name)
			} else {
				named = true
			}
			rest = after
		}
		text = others.String()
		if id := models.AgentID(who.ID); named && id != author && len(found) < models.MaxMentions {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}

// notifyAgents tells the consoles and the subscribed browsers of agents about a thread. text is the note's, "" for none.
func (s *Service) notifyAgents(a Actor, to models.AgentIDs, kind string, t models.Thread, text string) {
	by := s.reference(a.AgentID)
	for _, id := range to {
		s.publisher.Publish(Publication{Agents: []*Event{{"agent_notified", notified{id, kind, by, oneLine(text, noticeSize), threadUpdated{ThreadView: s.view(t)}}}}})
		if s.notifier != nil {
			s.notifier.Notify(Notice{ThreadID: t.ID, DisplayName: t.DisplayName, Preview: oneLine(cmp.Or(text, t.LastMessage), noticeSize), ContentType: t.LastType, To: id, Kind: kind, By: a.Name})
		}
	}
}

// notifyMentioned is like notifyAgents, for the agents that a note mentions.
func (s *Service) notifyMentioned(ctx context.Context, a Actor, n models.Note) {
	if len(n.UnseenBy) == 0 {
		return
	}
	t, err := s.store.Thread(ctx, n.ThreadID)
	if err != nil { // consoles show it after the next connect
		s.log.WarnContext(ctx, "failed to read the thread of a mention", slog.Any("error", err))
		return
	}
	s.notifyAgents(a, n.UnseenBy, NotifiedMention, t, n.ContentText)
}

// Mentioned returns the threads with notes that notify the agent, who has not seen them yet.
func (s *Service) Mentioned(ctx context.Context, a Actor) ([]ThreadView, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	list, err := s.store.Mentions(ctx, a.AgentID, maxMentioned)
	if err != nil {
		return nil, Public(err)
	}
	return s.views(ctx, list), nil
}

// markNotesSeen records that the agent has seen the notes of a thread. It emits "notes_seen" to agents if one of them notified the agent.
func (s *Service) markNotesSeen(ctx context.Context, a Actor, threadID string, notes []models.Note) {
	if !slices.ContainsFunc(notes, func(n models.Note) bool { return slices.Contains(n.UnseenBy, a.AgentID) }) {
		return
	}
	changed, err := s.store.MarkNotesSeen(ctx, threadID, a.AgentID)
	if err != nil { // they stay unseen, and are marked when the thread is opened again
		s.log.WarnContext(ctx, "failed to mark notes as seen", slog.Any("error", err))
		return
	}
	if changed {
		s.publisher.Publish(Publication{Agents: []*Event{{"notes_seen", notesSeen{threadID, a.AgentID}}}})
	}
}
