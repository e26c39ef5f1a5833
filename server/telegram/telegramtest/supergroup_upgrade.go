package telegramtest

// Upgrade turns the operators' chat, a group, into a supergroup with the given id, as Telegram does when certain settings are changed:
// people write in the new chat, the old one is read-only, and a service message in each refers to the other. forum sets whether the new
// chat has topics.
func (s *Server) Upgrade(id int64, forum bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, by := s.chat(s.opts.Chat.ID), Operator()
	s.upgraded[old.ID] = id
	s.opts.Chat = Chat{ID: id, Type: "supergroup", Title: old.Title, IsForum: forum}
	s.chats[id] = newChat(s.opts.Chat)
	s.enqueue("message", s.add(old, &Message{From: &by, MigrateTo: id}))
	s.enqueue("message", s.add(s.chats[id], &Message{From: &by, MigrateFrom: old.ID}))
}
