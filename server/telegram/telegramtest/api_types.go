package telegramtest

// User has the fields of the Bot API's User. The types below likewise have the fields of the API's types.
type User struct {
	ID           int64  `json:"id"`
	IsBot        bool   `json:"is_bot"`
	FirstName    string `json:"first_name"`
	Username     string `json:"username,omitempty"`
	LanguageCode string `json:"language_code,omitempty"`

	// Returned by getMe only.
	CanJoinGroups bool `json:"can_join_groups,omitempty"`
	ReadsAll      bool `json:"can_read_all_group_messages,omitempty"` // privacy mode is off
}

// Chat is a private chat, a group or a supergroup.
type Chat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"` // private, group, supergroup
	Title     string `json:"title,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	IsForum   bool   `json:"is_forum,omitempty"`
}

// Message is a message as the bot receives it.
type Message struct {
	ID              int       `json:"message_id"`
	Topic           int       `json:"message_thread_id,omitempty"`
	InTopic         bool      `json:"is_topic_message,omitempty"`
	From            *User     `json:"from,omitempty"`
	SenderChat      *Chat     `json:"sender_chat,omitempty"` // the chat in whose name it was sent, if not a user's
	Chat            Chat      `json:"chat"`
	Date            int64     `json:"date"`
	EditDate        int64     `json:"edit_date,omitempty"`
	ReplyTo         *Message  `json:"reply_to_message,omitempty"`
	Quote           *Quote    `json:"quote,omitempty"`
	Text            string    `json:"text,omitempty"`
	Entities        []Entity  `json:"entities,omitempty"`
	Caption         string    `json:"caption,omitempty"`
	CaptionEntities []Entity  `json:"caption_entities,omitempty"`
	Photo           []Media   `json:"photo,omitempty"`
	Voice           *Media    `json:"voice,omitempty"`
	Audio           *Media    `json:"audio,omitempty"`
	Document        *Media    `json:"document,omitempty"`
	Video           *Media    `json:"video,omitempty"`
	Animation       *Media    `json:"animation,omitempty"`
	VideoNote       *Media    `json:"video_note,omitempty"`
	Sticker         *Sticker  `json:"sticker,omitempty"`
	Location        *Location `json:"location,omitempty"`
	Venue           *Venue    `json:"venue,omitempty"`
	Contact         *Contact  `json:"contact,omitempty"`
	Dice            *Dice     `json:"dice,omitempty"`
	Poll            *Poll     `json:"poll,omitempty"`
	Album           string    `json:"media_group_id,omitempty"`
	ReplyMarkup     *Markup   `json:"reply_markup,omitempty"`

	// Service messages.
	TopicCreated  *TopicName `json:"forum_topic_created,omitempty"`
	TopicEdited   *TopicName `json:"forum_topic_edited,omitempty"`
	TopicClosed   *struct{}  `json:"forum_topic_closed,omitempty"`
	TopicReopened *struct{}  `json:"forum_topic_reopened,omitempty"`
	Pinned        *Message   `json:"pinned_message,omitempty"`
	Joined        []User     `json:"new_chat_members,omitempty"`
	JoinedOne     *User      `json:"new_chat_member,omitempty"`
	Left          *User      `json:"left_chat_member,omitempty"`
	NewTitle      string     `json:"new_chat_title,omitempty"`
	MigrateTo     int64      `json:"migrate_to_chat_id,omitempty"`
	MigrateFrom   int64      `json:"migrate_from_chat_id,omitempty"`
}

// TopicName is the content of a service message about a topic.
type TopicName struct {
	Name  string `json:"name,omitempty"`
	Color int    `json:"icon_color,omitempty"`
}

// Media is a file in a message.
type Media struct {
	FileID   string `json:"file_id"`
	UniqueID string `json:"file_unique_id"`
	Size     int64  `json:"file_size,omitempty"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Duration int    `json:"duration,omitempty"`
	Name     string `json:"file_name,omitempty"`
	Type     string `json:"mime_type,omitempty"`
}

// Content of messages other than text and files.
type (
	Sticker struct {
		FileID   string `json:"file_id"`
		UniqueID string `json:"file_unique_id"`
		Type     string `json:"type"`
		Emoji    string `json:"emoji,omitempty"`
	}
	Location struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
	}
	Venue struct {
		Location Location `json:"location"`
		Title    string   `json:"title"`
		Address  string   `json:"address"`
	}
	Contact struct {
		PhoneNumber string `json:"phone_number"`
		FirstName   string `json:"first_name"`
		LastName    string `json:"last_name,omitempty"`
	}
	Dice struct {
		Emoji string `json:"emoji"`
		Value int    `json:"value"`
	}
	Poll struct {
		ID       string `json:"id"`
		Question string `json:"question"`
	}
)

// Entity marks up a part of a text; Offset and Length count UTF-16 code units.
type Entity struct {
	Type   string `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	URL    string `json:"url,omitempty"`
	Emoji  string `json:"custom_emoji_id,omitempty"`
}

// Quote is the part of a message that a reply quotes.
type Quote struct {
	Text     string   `json:"text"`
	Entities []Entity `json:"entities,omitempty"`
	Position int      `json:"position"`
	Manual   bool     `json:"is_manual,omitempty"` // selected by the user, not by the server
}

// Topic is a forum topic as the operator sees it.
type Topic struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Closed  bool   `json:"closed"`
	Deleted bool   `json:"deleted"`
	ByBot   bool   `json:"by_bot"`
}

// Markup is an inline keyboard.
type Markup struct {
	Keyboard [][]Button `json:"inline_keyboard,omitempty"`
}

// Button is a button of an inline keyboard.
type Button struct {
	Text string `json:"text"`
	Data string `json:"callback_data,omitempty"`
	URL  string `json:"url,omitempty"`
}
