package chat

import (
	"context"

	"sohbet/models"
)

// JobView is docs/protocol.md, "Job object".
type JobView struct {
	ID       int64  `json:"id"`
	Kind     string `json:"kind"`
	Done     int64  `json:"done"`
	Total    int64  `json:"total"` // 0 = unknown
	Finished bool   `json:"finished"`
	Failed   bool   `json:"failed,omitempty"` // the last attempt failed; it is repeated
	Since    Time   `json:"since"`
}

// ViewJob returns a job in wire format.
func ViewJob(j models.Job) JobView {
	return JobView{ID: j.ID, Kind: j.Kind, Done: j.Done, Total: j.Total, Finished: !j.Unfinished(), Failed: j.Error != "", Since: Time(j.CreatedAt)}
}

// PublishJob emits "job" to all agents.
func (s *Service) PublishJob(j models.Job) {
	s.publisher.Publish(Publication{Agents: []*Event{{"job", ViewJob(j)}}})
}

// Jobs returns the jobs that have work left.
func (s *Service) Jobs(ctx context.Context, a Actor) ([]JobView, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	list, err := s.store.Jobs(ctx)
	if err != nil {
		return nil, Public(err)
	}
	views := make([]JobView, len(list))
	for i, j := range list {
		views[i] = ViewJob(j)
	}
	return views, nil
}
