// Package models keeps Sohbet's users, threads and messages in SQLite or PostgreSQL.
//
// Reads go straight to a pool with a small cache in front. Everything that a conversation writes
// (messages, new threads, read markers) passes one queue and one writer, which commits all that
// gathered while the previous commit ran as a single durable transaction.
package models

import (
	"errors"
	"time"
)

// Errors that callers tell apart with errors.Is. No error of this package carries message text.
var (
	ErrNotFound = errors.New("models: not found")
	ErrExists   = errors.New("models: already exists")
	ErrClosed   = errors.New("models: store is closed")
	// ErrBusy says that the write queue stayed full until the context ended; nothing was stored.
	ErrBusy = errors.New("models: write queue is full")
	// ErrInvalid is what every *InvalidError matches.
	ErrInvalid = errors.New("models: invalid value")
)

// InvalidError names a value that the tables cannot hold. Both databases refuse the same values,
// because they are checked here before either sees them.
type InvalidError struct {
	Field  string // column name
	Reason string
}

func (e *InvalidError) Error() string { return "models: " + e.Field + ": " + e.Reason }

// Is makes errors.Is(err, ErrInvalid) hold.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Column widths in characters, as the migrations declare them.
const (
	MaxThreadID    = 50
	MaxDisplayName = 100
	MaxPhoneNumber = 20
	MaxPageURL     = 2048
	MaxLocale      = 35
	MaxClientID    = 64
	MaxContentText = 10_000
	MaxFileURL     = 255
	MaxKind        = 20 // content_type, sender_type
	MaxPageTitle   = 300
	MaxAgentWord   = 50 // browser, platform
	MaxEmail       = 254
	MaxComment     = 1000 // of a rating
)

// Thread states.
const (
	StatusActive = "active"
	StatusClosed = "closed"
	// StatusWaiting is no state: a ThreadQuery selects by it active threads whose visitor waits for an answer.
	StatusWaiting = "waiting"
)

// MaxRating is the best rating; 0 is none.
const MaxRating = 5

// Who reads and writes.
const (
	Visitor = "visitor"
	Admin   = "admin"
)

// telegramSender writes from the operators' chat: one of the team, as Admin is.
const telegramSender = "telegram"

// ofTeam reports whether a message of a sender is an answer to the visitor.
func ofTeam(senderType string) bool { return senderType == Admin || senderType == telegramSender }

// User is the person behind a thread. Username is a generated handle, unique; the name a visitor
// typed lives on the thread, since two visitors may share it.
type User struct {
	ID          int64
	Username    string
	PhoneNumber string
	CreatedAt   time.Time
	LastSeen    time.Time
	ExternalID  *string // under which the site that embeds the chat knows them; nil = it does not
}

// Thread is one visitor's conversation. Its last message and counts are kept on the row, so a list
// of threads needs no subquery.
type Thread struct {
	ID            string `gorm:"primaryKey"`
	UserID        int64
	DisplayName   string
	PhoneNumber   string
	PageURL       string `gorm:"column:sealed_page_url"`
	Locale        string
	Status        string // StatusActive or StatusClosed
	CreatedAt     time.Time
	LastActivity  time.Time
	LastMessageID int64
	LastMessage   string // the newest message's text, cut to LastMessageRunes
	LastSender    string // its sender_type
	LastType      string // its content_type
	LastMessageAt *time.Time
	MessageCount  int64
	UnreadCount   int64 // visitor messages that no agent has read
	VisitorReadID int64 // newest message id the visitor has read
	AgentReadID   int64
	AddressHash   string // keyed hash of the address from which the visitor came last

	WaitingSince      *time.Time // when the oldest visitor message was written that nobody of the team has answered
	VisitorReceivedID int64      // newest message id that the visitor's client has
	AgentReceivedID   int64      // newest message id that a client of the team, or Telegram, has
	Talks             int64      // how often the visitor began to talk: once, and again whenever a closed thread was reopened by a message
	AnsweredTalk      int64      // the last of these that was answered
	Rating            int64      // 1 to MaxRating; 0 = none
	RatingComment     string
	Email             string
	PageTitle         string `gorm:"column:sealed_page_title"`
	Browser           string // a word such as "Firefox 140"
	Platform          string // a word such as "Android"
}

// LastMessageRunes is how much of the newest message a thread row repeats.
const LastMessageRunes = 200

// Message is one stored message. IDs grow within a thread in the order of acceptance.
type Message struct {
	ID          int64
	ThreadID    string
	ClientID    string // chosen by the sender; unique within the thread unless empty
	ContentText string
	ContentType string // text, image, audio, file
	FilePath    string
	FileURL     string
	SenderType  string // visitor, admin, telegram, system
	CreatedAt   time.Time
	EditedAt    *time.Time // nil = never
	Reaction    string     // the team's, in emoji; "" = none
}

// TelegramLink ties a message in Telegram to a thread, so that an answer finds its way back.
type TelegramLink struct {
	ID                int64
	ThreadID          string
	TelegramMessageID int64
	ChatID            int64
	TopicID           int64
	MessageID         int64 // the message it is; 0 if it belongs to the thread alone
	CreatedAt         time.Time
}

// OneTimeCode is a sign-in code, stored only as a hash. Binding says what it is good for; there is
// at most one code for a binding.
type OneTimeCode struct {
	ID        int64
	Hash      []byte
	Binding   string
	ExpiresAt time.Time
	Tries     int
	UsedAt    *time.Time
	CreatedAt time.Time
}

// NewThread describes a thread to open. Only ID is required.
type NewThread struct {
	ID, DisplayName, PhoneNumber, PageURL, PageTitle, Locale, Browser, Platform string

	Address string // where the visitor comes from; stored as a keyed hash
}

// ThreadPatch changes the fields that are not nil.
type ThreadPatch struct {
	DisplayName, PhoneNumber, PageURL, Locale, Status *string

	PageTitle, Email, Browser, Platform *string

	Rating        *int64
	RatingComment *string
}

// ThreadQuery selects a page of threads, newest message first. To get the next page pass the last
// thread's LastMessageAt and ID. Search looks for each of its words in display name and phone number, ignoring
// case and accents, and for whole e-mail addresses.
// Threads in which nobody ever wrote are left out; IncludeEmpty lists all, by LastActivity.
type ThreadQuery struct {
	Limit        int // 0 = 50, at most 1000
	Before       time.Time
	BeforeID     string
	Search       string
	Status       string // StatusActive, StatusClosed or StatusWaiting; "" = any
	IncludeEmpty bool
}

// MessageQuery selects messages of one thread. With BeforeID the newest ones before it, with
// AfterID the oldest ones after it, with neither the newest, or with Oldest the oldest.
type MessageQuery struct {
	BeforeID, AfterID int64
	Oldest            bool
	Limit             int // 0 = 50, at most 1000
}

func (q MessageQuery) ascending() bool { return q.AfterID > 0 || q.Oldest }

// NewMessage is a message to append. CreatedAt defaults to now, ContentType to text.
type NewMessage struct {
	ThreadID, ClientID, ContentText, ContentType, FilePath, FileURL, SenderType string

	CreatedAt time.Time
	// OpenThread, when set, creates the thread in the same transaction if it is not stored.
	OpenThread *NewThread

	sealed, preview string // what is stored of ContentText: all of it, and cut to LastMessageRunes
}

// Appended is the outcome of an append. Thread is the row as it stood right after this message.
type Appended struct {
	Message   Message
	Thread    Thread
	Duplicate bool  // the client_id was stored before: Message is the first one
	Opened    bool  // this message opened the thread
	Reopened  bool  // the thread was closed before this message
	Follows   int64 // id of the thread's message before this one, 0 for the first; not set for a duplicate
	Waits     bool  // Thread.WaitingSince changed with it
}

// stamp is the one form in which times are stored: UTC and whole milliseconds, the precision that
// goes over the wire, so that a time sent out and handed back as a cursor compares equal.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(time.Millisecond)
}
