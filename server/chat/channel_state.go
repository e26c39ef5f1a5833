package chat

// ChannelState is the health of a channel.
type ChannelState struct {
	Channel string `json:"channel"` // "telegram"
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"` // a code for which pages have a translation
	Detail  string `json:"detail,omitempty"` // description of the problem, in English
	Cure    string `json:"cure,omitempty"`   // how to fix it
}

// ChannelState sends a channel's health to agents. It does not block.
func (s *Service) ChannelState(c ChannelState) {
	s.publisher.Publish(Publication{Agents: []*Event{{"channel_state", c}}})
}
