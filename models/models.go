// Package models stores Sohbet's users, threads and messages in SQLite or PostgreSQL.
//
// Reads go to a connection pool, through a small cache. All writes of a conversation (messages, new threads, read marks) pass through
// one queue and one writer, which commits everything that accumulated during the previous commit as a single durable transaction.
package models

import (
	"errors"
	"time"

	"sohbet/models/batch"
	"sohbet/models/dberror"
	"sohbet/models/dump"
)

// Errors to match with errors.Is. No error of this package contains message text.
var (
	ErrNotFound = errors.New("models: not found")
	ErrExists   = errors.New("models: already exists")
	ErrClosed   = batch.ErrClosed
	// ErrBusy means that the write queue stayed full until the context ended; nothing was stored.
	ErrBusy = batch.ErrBusy
	// ErrNotEmpty means that the database holds data that a restore would replace.
	ErrNotEmpty = dump.ErrNotEmpty
	// ErrUnavailable matches errors that mean that the database is unreachable, locked, full, read-only or damaged. The request itself
	// is valid and may succeed later.
	ErrUnavailable = errors.New("models: the database does not work")
	// ErrInvalid matches every *InvalidError.
	ErrInvalid = errors.New("models: invalid value")
)

// InvalidError names a value that the tables cannot hold. Values are checked here before they reach the database, so that both
// databases refuse the same ones.
type InvalidError struct {
	Field  string // column name
	Reason string
}

func (e *InvalidError) Error() string { return "models: " + e.Field + ": " + e.Reason }

// Is makes every InvalidError match ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Column widths in characters, as declared in the migrations.
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

// MaxID is the largest id of a message, note, reply or user that JavaScript holds exactly. No row gets a larger one.
const MaxID = 1<<53 - 1

// checkNewID refuses an id that was drawn for a new row but is too large: its transaction is rolled back.
func checkNewID(id int64) error {
	if id > MaxID {
		return dberror.ErrIDs
	}
	return nil
}

// Thread states.
const (
	StatusActive = "active"
	StatusClosed = "closed"
	// StatusWaiting is not stored: in a ThreadQuery it selects active threads whose visitor waits for an answer.
	StatusWaiting = "waiting"
)

// MaxRating is the best rating; 0 means none.
const MaxRating = 5

// Sides of a conversation, used as readers and sender types.
const (
	Visitor = "visitor"
	Admin   = "admin"
)

// telegramSender is the sender type of agents who write in Telegram.
const telegramSender = "telegram"

// ofTeam reports whether messages of a sender type are answers to the visitor.
func ofTeam(senderType string) bool { return senderType == Admin || senderType == telegramSender }

// User is the person behind a thread. Username is a generated handle, unique; the name that a visitor typed is stored in the thread,
// since two visitors may share it.
type User struct {
	ID          int64
	Username    string
	PhoneNumber string
	CreatedAt   time.Time
	LastSeen    time.Time
	ExternalID  *string // user id on the embedding site; nil = anonymous
}

// Thread is one visitor's conversation. Its last message and counts are denormalized into the row, so a list of threads needs no
// subquery.
type Thread struct {
	ID            string `gorm:"primaryKey"`
	UserID        int64
	DisplayName   string
	PhoneNumber   string
	PageURL       string `gorm:"column:sealed_page_url"`
	Locale        string
	Status        string  // StatusActive or StatusClosed
	StatusBy      AgentID // the agent who set Status; 0 = the team, or the visitor by writing
	AssigneeID    AgentID // the agent who answers; 0 = none
	CreatedAt     time.Time
	LastActivity  time.Time
	LastMessageID int64
	LastMessage   string // the newest message's text, truncated to LastMessageRunes
	LastSender    string // its sender_type
	LastType      string // its content_type
	LastMessageAt *time.Time
	MessageCount  int64
	UnreadCount   int64 // visitor messages not read by any agent
	VisitorReadID int64 // id of the newest message the visitor has read
	AgentReadID   int64
	AddressHash   string // keyed hash of the address the visitor last connected from

	WaitingSince      *time.Time // when the oldest visitor message not yet answered by the team was written
	VisitorReceivedID int64      // id of the newest message the visitor's client has received
	AgentReceivedID   int64      // id of the newest message received by an agent's client, or by Telegram
	Sessions          int64      `gorm:"column:talks"`         // sessions the visitor started: the first, and one more whenever a message reopened a closed thread
	AnsweredSession   int64      `gorm:"column:answered_talk"` // number of the last session that was answered
	Rating            int64      // 1 to MaxRating; 0 = none
	RatingComment     string
	Email             string
	PageTitle         string `gorm:"column:sealed_page_title"`
	Browser           string // a name such as "Firefox 140"
	Platform          string // a name such as "Android"
	Blocked           bool   // the visitor is blocked, see Block

	// Rev grows with each change of the thread, its marks, its messages or its visitor's block, in the transaction of the change. It begins
	// at the Unix milliseconds of the thread's creation, so that it keeps growing if a thread is deleted and created again.
	Rev int64

	ClearedUntil int64      // messages up to this id are deleted; their rows may still exist
	DeletedAt    *time.Time // set: the thread is deleted; no function returns it
}

// LastMessageRunes is the maximum length of LastMessage in runes.
const LastMessageRunes = 200

// Message is one stored message. Within a thread, ids increase in the order of acceptance.
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
	AgentID     AgentID    // the agent who wrote it; 0 = the team, the visitor or the server
	EditedBy    AgentID    // the agent who edited it last; 0 = the team
	Reaction    string     // the team's, an emoji; "" = none
	ReactedBy   AgentID    // the agent who set or removed it last; 0 = the team
	Rev         int64      // the thread's Rev at the last edit or reaction; 0 = none yet
}

// TelegramLink maps a message in Telegram to a thread, so that a reply to it can be routed.
type TelegramLink struct {
	ID                int64
	ThreadID          string
	TelegramMessageID int64
	ChatID            int64
	TopicID           int64
	MessageID         int64 // the corresponding message; 0 if it belongs to the thread as a whole
	CreatedAt         time.Time
}

// OneTimeCode is a sign-in code, stored only as a hash. Binding says what the code is valid for; a binding has at most one code.
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

	Address string // the visitor's network address; stored as a keyed hash
}

// ThreadPatch changes the fields that are not nil.
type ThreadPatch struct {
	DisplayName, PhoneNumber, PageURL, Locale, Status *string

	StatusBy AgentID // the agent who sets Status; 0 = the team

	PageTitle, Email, Browser, Platform *string

	Rating        *int64
	RatingComment *string
}

// ThreadQuery selects a page of threads, newest message first. For the next page pass the last thread's LastMessageAt and ID. Search
// matches threads whose display name and phone number contain each of its words, ignoring case and accents, and whole e-mail addresses.
// Threads without messages are left out; IncludeEmpty lists all, by LastActivity.
type ThreadQuery struct {
	Limit        int // 0 = 50, at most 1000
	Before       time.Time
	BeforeID     string
	Search       string
	Status       string   // StatusActive, StatusClosed or StatusWaiting; "" = any
	Assignee     *AgentID // 0 = active threads without one; nil = any
	IncludeEmpty bool
}

// MessageQuery selects messages of one thread: with BeforeID the newest ones before it, with AfterID the oldest ones after it, with
// Oldest the oldest, otherwise the newest.
type MessageQuery struct {
	BeforeID, AfterID int64
	Oldest            bool
	Limit             int // 0 = 50, at most 1000
}

func (q MessageQuery) ascending() bool { return q.AfterID > 0 || q.Oldest }

// NewMessage is a message to append. CreatedAt defaults to now, ContentType to text.
type NewMessage struct {
	ThreadID, ClientID, ContentText, ContentType, FilePath, FileURL, SenderType string

	AgentID   AgentID // the agent who wrote it; 0 = the team, the visitor or the server
	CreatedAt time.Time
	// OpenThread, when set, creates the thread in the same transaction if it is not stored.
	OpenThread *NewThread

	sealed, preview string // ContentText encrypted, and truncated to LastMessageRunes and encrypted
}

// Appended is the result of an append. Thread is the row right after this message.
type Appended struct {
	Message   Message
	Thread    Thread
	Duplicate bool  // the client_id was stored before: Message is the stored one
	Opened    bool  // this message opened the thread
	Reopened  bool  // the thread was closed before this message
	Follows   int64 // id of the previous message in the thread, 0 for the first; not set for a duplicate
	Waits     bool  // Thread.WaitingSince changed with this message
	Assigned  bool  // its author became the assignee
}

// stamp returns a time in the form in which all times are stored: UTC and whole milliseconds, the precision of the wire format, so that
// a time sent out and handed back as a cursor compares equal.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(time.Millisecond)
}
