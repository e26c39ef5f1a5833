package telegramtest

// Upgrade makes a supergroup of the operators' chat, which is a group, as Telegram does by itself when somebody changes certain
// settings: people write in the new chat, the old one can be read but not written in, and a service message in each names the
// other. forum says whether the new one has topics.
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

// Lose drops what waits to be fetched, as Telegram does after a day.
func (s *Server) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates = nil
	s.touch()
}
