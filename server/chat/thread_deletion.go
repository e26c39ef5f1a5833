package chat

import (
	"context"

	"sohbet/models"
	"sohbet/server/audit"
)

// Clear deletes the messages of a thread; the thread stays in the list. Nothing deleted can be read from then on; the job deletes what is
// stored. It emits "thread_cleared" with kept to its room and all agents.
func (s *Service) Clear(ctx context.Context, a Actor, threadID string) (models.Job, error) {
	return s.empty(ctx, a, cleared{ThreadID: threadID, Kept: true}, s.store.StartClear, audit.ThreadClear)
}

// Delete deletes a thread and everything in it, like Clear. It emits "thread_cleared" to its room and all agents.
func (s *Service) Delete(ctx context.Context, a Actor, threadID string) (models.Job, error) {
	return s.empty(ctx, a, cleared{ThreadID: threadID}, s.store.StartDelete, audit.ThreadDelete)
}

func (s *Service) empty(ctx context.Context, a Actor, e cleared, start func(context.Context, string, models.AgentID) (models.Job, error), event string) (models.Job, error) {
	if err := agentOnly(a); err != nil {
		return models.Job{}, err
	}
	if err := a.reach(e.ThreadID); err != nil {
		return models.Job{}, err
	}
	ctx = context.WithoutCancel(ctx) // what is deleted must be published, even if the caller has left
	j, err := start(ctx, e.ThreadID, a.AgentID)
	if err != nil {
		return j, Public(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: event, ThreadID: e.ThreadID})
	e.LastID, e.Rev, e.By = j.Hidden.Until, j.Hidden.Rev, s.reference(a.AgentID)
	s.publishCleared(e)
	if e.Kept {
		s.publishCurrent(ctx, e.ThreadID)
	}
	return j, nil
}

// ClearAll deletes every thread, like Delete, on behalf of an owner, and returns their number.
func (s *Service) ClearAll(ctx context.Context, a Actor) (models.Job, int64, error) {
	if err := ownerOnly(a); err != nil {
		return models.Job{}, 0, err
	}
	ctx = context.WithoutCancel(ctx)
	j, n, err := s.store.StartClearAll(ctx, a.AgentID)
	if err != nil {
		return j, n, Public(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.ThreadsClear})
	s.ClearedAll()
	s.topics.Notify(topicCleared)
	return j, n, nil
}

// ClearedAll notifies all clients at this process that every thread was deleted.
func (s *Service) ClearedAll() {
	for _, id := range append(s.presence.all(false), "") { // "": agents, the whole list
		e := []*Event{{"thread_cleared", cleared{ThreadID: id}}}
		s.publisher.Publish(Publication{ThreadID: id, Thread: e, Agents: e, Here: true})
	}
}

func (s *Service) publishCleared(c cleared) {
	e := []*Event{{"thread_cleared", c}}
	p := Publication{ThreadID: c.ThreadID, Rev: c.Rev, Thread: e, Agents: e}
	if c.By != nil { // only agents are told who
		p.Side = Agent
		c.By = nil
		s.publisher.Publish(Publication{ThreadID: c.ThreadID, Rev: c.Rev, Thread: []*Event{{"thread_cleared", c}}, Side: Visitor})
	}
	s.publisher.Publish(p)
}
