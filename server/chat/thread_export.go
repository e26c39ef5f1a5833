package chat

import (
	"context"

	"sohbet/server/audit"
)

// Export returns a thread whose whole content is about to be exported, and records that in the audit log.
func (s *Service) Export(ctx context.Context, a Actor, threadID string) (ThreadView, error) {
	t, err := s.watched(ctx, a, threadID)
	if err != nil {
		return ThreadView{}, err
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.ThreadExport, ThreadID: threadID})
	return s.view(t), nil
}
