package models

import "context"

// A thread has four marks: for each side the newest message it has read, and the newest one its client has received. They only move
// forward, never past the newest message, and a read message counts as received.

// MarkRead moves the marks of a reader (Visitor or Admin) up to lastID. It reports whether the read mark moved, and returns the thread
// if it did.
func (s *Store) MarkRead(ctx context.Context, threadID, reader string, lastID int64) (t Thread, moved bool, err error) {
	return s.markUpTo(ctx, readJob, threadID, reader, lastID, (*Thread).read)
}

// MarkReceived moves the received mark of a side (Visitor or Admin) up to lastID. It reports whether the mark moved, and returns the
// thread if it did.
func (s *Store) MarkReceived(ctx context.Context, threadID, reader string, lastID int64) (t Thread, moved bool, err error) {
	return s.markUpTo(ctx, receivedJob, threadID, reader, lastID, (*Thread).received)
}

func (s *Store) markUpTo(ctx context.Context, kind jobKind, threadID, reader string, lastID int64, mark func(*Thread, string) *int64) (Thread, bool, error) {
	if ok, err := s.mayMove(threadID, reader, lastID, mark); !ok {
		return Thread{}, false, err
	}
	res, err := s.writer.wait(ctx, &job{kind: kind, threadID: threadID, reader: reader, lastID: lastID})
	return res.Thread, res.moved, err
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
