package models

import "context"

// A thread keeps four marks: up to which message each side has read, and up to which its client has received. They move forward
// only, never past the newest message, and what was read was received.

// MarkRead moves a reader's marks (Visitor's or Admin's) up to lastID. It reports whether the mark of reading moved.
func (s *Store) MarkRead(ctx context.Context, threadID, reader string, lastID int64) (bool, error) {
	if ok, err := s.worthMarking(threadID, reader, lastID, (*Thread).read); !ok {
		return false, err
	}
	res, err := s.writer.wait(ctx, &job{kind: readJob, threadID: threadID, reader: reader, lastID: lastID})
	return res.moved, err
}

// MarkReceived moves the mark of what a side's client has (Visitor's or Admin's) up to lastID. It returns where the mark stands
// and whether it moved.
func (s *Store) MarkReceived(ctx context.Context, threadID, reader string, lastID int64) (mark int64, moved bool, err error) {
	if ok, err := s.worthMarking(threadID, reader, lastID, (*Thread).received); !ok {
		return 0, false, err
	}
	res, err := s.writer.wait(ctx, &job{kind: receivedJob, threadID: threadID, reader: reader, lastID: lastID})
	return *res.Thread.received(reader), res.moved, err
}

// worthMarking spares the queue a mark that is known to stand there already.
func (s *Store) worthMarking(threadID, reader string, lastID int64, mark func(*Thread, string) *int64) (bool, error) {
	if reader != Visitor && reader != Admin {
		return false, &InvalidError{Field: "reader", Reason: "neither visitor nor admin"}
	}
	if lastID <= 0 {
		return false, nil
	}
	t, ok := s.cache.thread(threadID)
	return !ok || lastID > *mark(&t, reader), nil
}

func (t *Thread) read(reader string) *int64 {
	if reader == Visitor {
		return &t.VisitorReadID
	}
	return &t.AgentReadID
}

func (t *Thread) received(reader string) *int64 {
	if reader == Visitor {
		return &t.VisitorReceivedID
	}
	return &t.AgentReceivedID
}
