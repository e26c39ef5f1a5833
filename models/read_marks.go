package models

import "context"

// A thread has four marks: for each side the newest message it has read, and the newest one its client has received. They only move
// forward, never past the newest message, and a read message counts as received.

// MarkRead moves the marks of a reader (Visitor or Admin) up to lastID. It reports whether the read mark moved.
func (s *Store) MarkRead(ctx context.Context, threadID, reader string, lastID int64) (bool, error) {
	if ok, err := s.mayMove(threadID, reader, lastID, (*Thread).read); !ok {
		return false, err
	}
	res, err := s.writer.wait(ctx, &job{kind: readJob, threadID: threadID, reader: reader, lastID: lastID})
	return res.moved, err
}

// MarkReceived moves the received mark of a side (Visitor or Admin) up to lastID. It returns the mark's position and whether it moved.
func (s *Store) MarkReceived(ctx context.Context, threadID, reader string, lastID int64) (mark int64, moved bool, err error) {
	if ok, err := s.mayMove(threadID, reader, lastID, (*Thread).received); !ok {
		return 0, false, err
	}
	res, err := s.writer.wait(ctx, &job{kind: receivedJob, threadID: threadID, reader: reader, lastID: lastID})
	return *res.Thread.received(reader), res.moved, err
}

// mayMove reports whether a mark may have to move, to keep marks that would change nothing out of the write queue.
func (s *Store) mayMove(threadID, reader string, lastID int64, mark func(*Thread, string) *int64) (bool, error) {
	if reader != Visitor && reader != Admin {
		return false, &InvalidError{Field: "reader", Reason: "neither visitor nor admin"}
	}
	if lastID <= 0 {
		return false, nil
	}
	t, ok := s.cache.thread(threadID)
	return !ok || lastID > *mark(&t, reader), nil
}
