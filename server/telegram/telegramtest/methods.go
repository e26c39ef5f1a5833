package telegramtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// methods maps the lower-case name of each supported method to its implementation, which runs with s.mu held. getUpdates is not in it,
// because it blocks.
var methods map[string]func(*Server, *Call) (any, *refusal)

func init() {
	methods = map[string]func(*Server, *Call) (any, *refusal){
		"getme": (*Server).getMe, "getchat": (*Server).getChat, "getchatmember": (*Server).getChatMember,
		"setmycommands": (*Server).setMyCommands, "getmycommands": (*Server).getMyCommands, "deletemycommands": (*Server).deleteMyCommands,
		"setwebhook": (*Server).setWebhook, "deletewebhook": (*Server).deleteWebhook, "getwebhookinfo": (*Server).getWebhookInfo,
		"sendmessage": (*Server).sendMessage, "sendchataction": (*Server).sendChatAction,
		"sendphoto": sending("photo"), "sendvoice": sending("voice"), "sendaudio": sending("audio"), "senddocument": sending("document"),
		"sendvideo":       sending("video"),
		"editmessagetext": (*Server).editMessageText, "editmessagecaption": (*Server).editMessageCaption, "editmessagereplymarkup": (*Server).editMessageReplyMarkup, "deletemessage": (*Server).deleteMessage,
		"answercallbackquery": (*Server).answerCallbackQuery, "getfile": (*Server).getFile,
		"createforumtopic": (*Server).createForumTopic, "editforumtopic": (*Server).editForumTopic, "closeforumtopic": (*Server).closeForumTopic,
		"reopenforumtopic": (*Server).reopenForumTopic, "deleteforumtopic": (*Server).deleteForumTopic,
	}
}

func (s *Server) getMe(*Call) (any, *refusal) {
	me := s.opts.Bot
	me.CanJoinGroups = true
	return me, nil
}

// reach returns the chat that a call refers to, if the bot is a member of it.
func (s *Server) reach(c *Call) (*chat, *refusal) {
	if c.Params["chat_id"] == "" {
		return nil, bad("chat_id is empty")
	}
	id, no := c.number("chat_id")
	if no != nil {
		return nil, bad("chat not found") // a @username, which the chats of these tests do not have
	}
	known, ok := s.chats[id]
	switch {
	case !ok, id == s.opts.Chat.ID && s.opts.Absent:
		return nil, bad("chat not found")
	case id == s.opts.Chat.ID && s.opts.Kicked:
		return nil, &refusal{code: http.StatusForbidden, text: "Forbidden: bot was kicked from the supergroup chat"}
	case s.upgraded[id] != 0 && !strings.HasPrefix(c.Method, "get"): // methods that only read still work
		no := bad("group chat was upgraded to a supergroup chat")
		no.moved = s.upgraded[id]
		return nil, no
	}
	return known, nil
}

// barred refuses calls that write into a chat in which the bot must not.
func (s *Server) barred(c *Call) *refusal {
	why := s.opts.Barred
	if why == "" && s.opts.Restricted {
		why = "not enough rights to send text messages to the chat"
	}
	id, no := c.number("chat_id")
	writes := strings.HasPrefix(c.Method, "send") || strings.HasPrefix(c.Method, "edit") || strings.HasSuffix(c.Method, "ForumTopic")
	if why == "" || no != nil || id != s.opts.Chat.ID || !writes {
		return nil
	}
	refused := bad("%s", why)
	refused.faulty = true
	return refused
}

func (s *Server) getChat(c *Call) (any, *refusal) {
	in, no := s.reach(c)
	if no != nil {
		return nil, no
	}
	return in.Chat, nil
}

func (s *Server) getChatMember(c *Call) (any, *refusal) {
	if _, no := s.reach(c); no != nil {
		return nil, no
	}
	id, no := c.number("user_id")
	if no != nil {
		return nil, no
	}
	user, ok := s.users[id]
	if !ok {
		return nil, bad("invalid user_id specified")
	}
	if id == s.opts.Bot.ID {
		return s.place(), nil
	}
	member := map[string]any{"user": user, "status": "member"}
	switch id {
	case OperatorID:
		member["status"] = "creator"
	case StrangerID:
		member["status"] = "left"
	}
	return member, nil
}

// place returns the bot's ChatMember in the operators' chat. s.mu must be held.
func (s *Server) place() map[string]any {
	member := map[string]any{"user": s.bot(), "status": "member"}
	switch {
	case s.opts.Kicked:
		member["status"] = "kicked"
	case s.opts.Absent:
		member["status"] = "left"
	case s.opts.Restricted:
		member["status"], member["is_member"], member["can_send_messages"] = "restricted", true, false
	case s.opts.Admin:
		member["status"] = "administrator"
		member["can_manage_topics"] = s.opts.ManageTopics
		member["can_delete_messages"] = s.mayDelete()
		member["can_manage_chat"] = true
	}
	return member
}

func (s *Server) setMyCommands(c *Call) (any, *refusal) {
	key, no := commandKey(c)
	if no != nil {
		return nil, no
	}
	var commands []struct {
		Command     string `json:"command"`
		Description string `json:"description"`
	}
	if no := c.decode("commands", &commands); no != nil {
		return nil, no
	}
	if len(commands) == 0 || len(commands) > 100 {
		return nil, bad("BOT_COMMANDS_TOO_MUCH")
	}
	for _, command := range commands {
		if !word(command.Command, 32, "abcdefghijklmnopqrstuvwxyz0123456789_") {
			return nil, bad("BOT_COMMAND_INVALID")
		}
		if n := utf8.RuneCountInString(command.Description); n < 1 || n > 256 {
			return nil, bad("BOT_COMMAND_DESCRIPTION_INVALID")
		}
	}
	s.commands[key] = json.RawMessage(c.Params["commands"])
	return true, nil
}

func (s *Server) getMyCommands(c *Call) (any, *refusal) {
	key, no := commandKey(c)
	if no != nil {
		return nil, no
	}
	if raw, ok := s.commands[key]; ok {
		return raw, nil
	}
	return []any{}, nil
}

func (s *Server) deleteMyCommands(c *Call) (any, *refusal) {
	key, no := commandKey(c)
	delete(s.commands, key)
	return no == nil, no
}

// commandKey returns the map key for the scope and language of a command list.
func commandKey(c *Call) (string, *refusal) {
	var scope struct {
		Type   string `json:"type"`
		ChatID any    `json:"chat_id"`
	}
	if no := c.decode("scope", &scope); no != nil {
		return "", no
	}
	switch scope.Type {
	case "", "default", "all_private_chats", "all_group_chats", "all_chat_administrators":
	case "chat", "chat_administrators", "chat_member":
		if scope.ChatID == nil {
			return "", bad("chat_id is empty")
		}
	default:
		return "", bad("unsupported type of BotCommandScope specified")
	}
	language := c.Params["language_code"]
	if language != "" && (len(language) != 2 || !word(language, 2, "abcdefghijklmnopqrstuvwxyz")) {
		return "", bad("invalid language code specified")
	}
	return fmt.Sprint(scope.Type, scope.ChatID, language), nil
}

// Commands returns the commands that the bot registered for a language, or for the languages without a list if language is "". It is
// nil if there are none.
func (s *Server) Commands(language string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, raw := range s.commands {
		if language != "" && strings.HasSuffix(key, language) || language == "" && strings.HasSuffix(key, "<nil>") {
			return raw
		}
	}
	return nil
}

func (s *Server) sendChatAction(c *Call) (any, *refusal) {
	if _, _, no := s.address(c); no != nil {
		return nil, no
	}
	switch c.Params["action"] {
	case "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "record_audio", "upload_audio", "upload_document":
		return true, nil
	}
	return nil, bad("wrong parameter action in request")
}

func (s *Server) answerCallbackQuery(c *Call) (any, *refusal) {
	id := c.Params["callback_query_id"]
	if answered, ok := s.presses[id]; !ok || answered {
		return nil, bad("query is too old and response timeout expired or query ID is invalid")
	}
	if units(c.Params["text"]) > 200 {
		return nil, bad("MESSAGE_TOO_LONG")
	}
	s.presses[id] = true
	return true, nil
}

// word reports whether s consists of 1 to longest bytes, all contained in of.
func word(s string, longest int, of string) bool {
	return s != "" && len(s) <= longest && strings.Trim(s, of) == ""
}

// units returns the length of s in UTF-16 code units, as Telegram counts.
func units(s string) int { return len(utf16.Encode([]rune(s))) }
