package models

// The rules of a thread's state: what messages, marks, closing and deletion change in it. They are pure functions. Two values
// are queried by the same rules, because they depend on stored messages: the unread count after agents read a part of them, and
// WaitingSince after messages were deleted. A test compares these queries with the functions.

// messageEffect is what a message changed besides its thread.
type messageEffect struct {
	reopened    bool
	firstAnswer *FirstAnswer // nil if the message is not the first answer in a session
}

// withMessage returns the thread after a stored message. A message from the visitor reopens a closed thread and, unless one is waiting
// already, waits for an answer; an answer of the team ends the wait, and who wrote it takes a thread without assignee.
func (t Thread) withMessage(m *Message) (Thread, messageEffect) {
	var e messageEffect
	at := m.CreatedAt
	t.LastMessageID, t.LastSender, t.LastType, t.LastMessageAt = m.ID, m.SenderType, m.ContentType, &at
	t.LastMessage = cut(m.ContentText, LastMessageRunes)
	t.MessageCount++
	if at.After(t.LastActivity) {
		t.LastActivity = at
	}
	switch {
	case m.SenderType == Visitor:
		t.UnreadCount++
		if e.reopened = t.Status == StatusClosed; e.reopened {
			t.Status, t.StatusBy = StatusActive, 0
		}
		if e.reopened || t.Sessions == 0 {
			t.Sessions++
		}
		if t.WaitingSince == nil {
			t.WaitingSince = &at
		}
	case ofTeam(m.SenderType):
		if t.WaitingSince != nil && t.AnsweredSession != t.Sessions {
			e.firstAnswer = &FirstAnswer{WaitedMS: max(0, at.Sub(*t.WaitingSince).Milliseconds()), AnsweredAt: at}
		}
		t.WaitingSince, t.AnsweredSession = nil, t.Sessions
		if t.AssigneeID == 0 {
			t.AssigneeID = m.AgentID
		}
	}
	return t, e
}

// withReceived moves the received mark of a reader (Visitor or Admin), only forward and not past the newest message.
func (t Thread) withReceived(reader string, lastID int64) (next Thread, moved bool) {
	to, mark := min(lastID, t.LastMessageID), t.received(reader)
	moved = to > *mark
	*mark = max(to, *mark)
	return t, moved
}

// withRead moves the read mark of a reader like withReceived; a read message counts as received. If count is set, agents read a part of
// the messages, and UnreadCount has to be counted.
func (t Thread) withRead(reader string, lastID int64) (next Thread, moved, count bool) {
	t, _ = t.withReceived(reader, lastID)
	to, mark := min(lastID, t.LastMessageID), t.read(reader)
	moved = to > *mark
	*mark = max(to, *mark)
	if !moved || reader == Visitor {
		return t, moved, false
	}
	if count = to < t.LastMessageID; !count {
		t.UnreadCount = 0
	}
	return t, moved, count
}

// withStatus closes or reopens a thread on behalf of an agent, or with 0 of the team. Closing ends the visitor's wait.
func (t Thread) withStatus(status string, by AgentID) Thread {
	t.Status, t.StatusBy = status, by
	if status == StatusClosed {
		t.WaitingSince = nil
	}
	return t
}

// withoutMessages subtracts deleted messages. WaitingSince may refer to one of them.
func (t Thread) withoutMessages(deleted []*Message) Thread {
	t.MessageCount -= int64(len(deleted))
	for _, m := range deleted {
		if m.SenderType == Visitor && m.ID > t.AgentReadID {
			t.UnreadCount--
		}
	}
	return t
}

// withoutAnyMessage returns a thread whose messages are deleted; it keeps its place in the list.
func (t Thread) withoutAnyMessage() Thread {
	t.MessageCount, t.UnreadCount = 0, 0
	t.LastMessage, t.LastSender, t.LastType = "", "", ""
	t.WaitingSince = nil
	return t
}

// sessionChanged reports whether the columns changed that most messages leave as they are.
func (t *Thread) sessionChanged(before *Thread) bool {
	return t.WaitingSince != before.WaitingSince || t.Sessions != before.Sessions || t.AnsweredSession != before.AnsweredSession ||
		t.VisitorReceivedID != before.VisitorReceivedID || t.AgentReceivedID != before.AgentReceivedID || t.AssigneeID != before.AssigneeID
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
