// Package chat is the domain service: joining, posting, history, typing, read marks, presence, clearing.
//
// It checks permissions and input, stores the result and publishes events. It depends on the store and a few small interfaces; sockets,
// HTTP handlers and the Telegram bridge call it.
package chat

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/hours"
)

// Role is the role of a participant in a conversation, with the values of sender_type on the wire.
type Role string

// The roles, as they are on the wire (docs/protocol.md, "Roles and conventions").
const (
	Visitor  Role = "visitor"
	Agent    Role = "admin"
	Telegram Role = "telegram"
	System   Role = "system"
)

// Store is the part of models.Store that chat uses.
type Store interface {
	CreateThread(context.Context, models.NewThread) (models.Thread, error)
	Thread(ctx context.Context, id string) (models.Thread, error)
	UpdateThread(ctx context.Context, id string, p models.ThreadPatch) (models.Thread, error)
	Threads(context.Context, models.ThreadQuery) ([]models.Thread, error)
	CountThreads(context.Context) (models.ThreadCounts, error)
	CountFound(ctx context.Context, search string) (int64, error)
	Touch(ctx context.Context, id string, at time.Time) error
	MarkRead(ctx context.Context, threadID, reader string, lastID int64) (bool, error)
	MarkReceived(ctx context.Context, threadID, reader string, lastID int64) (mark int64, moved bool, err error)
	UsualAnswer(context.Context) (usual time.Duration, known bool, err error)
	TrimAnswers(context.Context) error
	ClearThread(ctx context.Context, id string) error
	DeleteThread(ctx context.Context, id string) error
	ClearAll(context.Context) (int64, error)
	Expire(ctx context.Context, before time.Time) ([]models.Expired, bool, error)
	RemoveEmpty(ctx context.Context, before, written time.Time) ([]string, bool, error)
	Append(ctx context.Context, m models.NewMessage, done func(models.Appended, error)) error
	Messages(ctx context.Context, threadID string, q models.MessageQuery) ([]models.Message, bool, error)
	MessagesBetween(ctx context.Context, threadID string, after, upTo int64, limit int) ([]models.Message, bool, error)
	MessagePage(ctx context.Context, threadID string, page, perPage int) ([]models.Message, int64, error)
	Block(ctx context.Context, threadID string, address bool) (models.Block, error)
	Unblock(ctx context.Context, threadID string) error
	Blocks(context.Context) ([]models.Block, error)
	Blocked(threadID, address string) bool
	NoteAddress(ctx context.Context, threadID, address string) error
	Message(ctx context.Context, id int64) (models.Message, error)
	EditMessage(ctx context.Context, threadID string, id int64, text string, at time.Time) (models.Message, error)
	SetReaction(ctx context.Context, threadID string, id int64, reaction string) (models.Message, error)
	SwitchPosition(ctx context.Context, name string) (string, error)
	SetSwitch(ctx context.Context, name, position string) error
	AddNote(context.Context, models.Note) (models.Note, bool, error)
	Notes(ctx context.Context, threadID string) ([]models.Note, error)
	DeleteNote(ctx context.Context, threadID string, id int64) error
	ExpireNotes(ctx context.Context, before time.Time) (gone []models.Note, more bool, err error)
	CannedReplies(context.Context) ([]models.CannedReply, error)
	OutboxAside(ctx context.Context, channel, threadID string) ([]models.OutboxRow, error)
	OutboxSendAgain(ctx context.Context, channel, threadID string, messageID int64) (int, error)
	SaveCanned(context.Context, models.CannedReply) (models.CannedReply, error)
	DeleteCanned(ctx context.Context, id int64) error
	Person(context.Context, models.Thread) (models.Person, error)
	IdentityThread(ctx context.Context, externalID string) (models.Thread, error)
	OpenAs(ctx context.Context, externalID string, n models.NewThread) (t models.Thread, opened bool, err error)
	Identify(ctx context.Context, threadID, externalID string) (theirs bool, err error)
}

// Limiter reports whether one more action is allowed for a key and an address, and otherwise how long to wait.
type Limiter interface {
	Allow(key, address string) (ok bool, retryAfter time.Duration)
}

// Attachment is the metadata of a file that a message refers to.
type Attachment struct {
	Kind   string `json:"-"`                   // the content type of messages with this file; "" = unknown
	Name   string `json:"file_name,omitempty"` // name given by the sender
	Type   string `json:"file_type,omitempty"` // media type
	Size   int64  `json:"file_size,omitempty"` // bytes
	Thumb  string `json:"thumb_url,omitempty"`
	Width  int    `json:"width,omitempty"` // pixels of an image
	Height int    `json:"height,omitempty"`
}

// Files is the part of the file service that chat uses.
type Files interface {
	// Claim records that a message of a thread is about to refer to a URL. It fails with apperr.CodeNotFound unless that is a stored file not
	// yet referred to by another thread; shared allows a file of another thread.
	Claim(ctx context.Context, url, threadID string, shared bool) (Attachment, error)
	// Describe returns the metadata of files by URL. URLs missing from the result are not stored.
	Describe(ctx context.Context, urls []string) (map[string]Attachment, error)
}

// Options are the dependencies and settings of a [Service].
type Options struct {
	Store     Store
	Files     Files  // nil = no file metadata is available
	Base      string // URL path prefix of this server's files in browsers; "" = the root
	Publisher Publisher
	Others    Others // nil = this is the only process
	// Messages limits how many messages a visitor may post, by thread; NewThreads how many threads an address may open.
	Messages, NewThreads Limiter
	Texts                Budget // kilobytes of text that a visitor may store, by thread; nil = unlimited
	Space                Space  // nil = disk space is not checked
	// OfflineAfter is how long a visitor without a socket still counts as online, so that a page reload does not appear as going
	// offline.
	OfflineAfter time.Duration
	Notifier     Notifier    // nil = no notifications
	Identity     string      // secret with which sites sign the identity of their users; "" = signed identities are refused
	Hours        *hours.Week // opening hours; nil = always open
	Audit        *audit.Log  // records blocks and deletions; nil = not recorded
	Logger       *slog.Logger
	Now          func() time.Time

	Text func(locale, key string) string // looks up texts of the locale files; nil = no system messages are written
}

// Service is the chat. It is safe for concurrent use.
type Service struct {
	store            Store
	files            Files
	base             string
	publisher        Publisher
	others           Others
	messages         Limiter
	openings         Limiter
	texts            Budget
	space            Space
	audit            *audit.Log
	log              *slog.Logger
	now              func() time.Time
	presence         presence
	lastSeen         lastSeenBatch
	pages            pages
	identity         []byte
	notifier         Notifier
	text             func(locale, key string) string
	accepted         atomic.Uint64
	team             team
	counts           counts
	publishedStorage string        // the storage status last sent to agents at this process; used only by [Service.WatchTeam]
	awayChanged      chan struct{} // signals that the away setting may have changed
}

// New returns a chat service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		store: o.Store, files: o.Files, base: o.Base, publisher: o.Publisher, others: o.Others, messages: o.Messages, openings: o.NewThreads, texts: o.Texts, space: o.Space, publishedStorage: "ok",
		audit: o.Audit, log: o.Logger, now: o.Now, awayChanged: make(chan struct{}, 1),
	}
	s.presence = presence{grace: o.OfflineAfter, here: make(map[string]*visitor)}
	s.pages.every, s.identity, s.notifier, s.text = pageEvery, []byte(o.Identity), o.Notifier, o.Text
	s.team.hours = o.Hours
	s.team.replyTime.Store(-1)
	s.team.published = s.Team()
	return s
}

// Accepted returns the number of messages stored since the start, duplicates excluded.
func (s *Service) Accepted() uint64 { return s.accepted.Load() }

// Actor is the caller of an operation.
type Actor struct {
	Role     Role
	Name     string // the agent's, for the audit log
	SocketID string // "" over HTTP
	Address  string // the client's network address, for limits and blocks
	Threads  *ThreadSet

	Browser, Platform string // names of the visitor's browser and platform; "" = unknown
}

// ThreadSet is the set of threads that a visitor may access, with the profile given when joining each.
type ThreadSet struct {
	mu      sync.Mutex
	threads map[string]Profile
}

// Profile is what a visitor's client reports about the visitor.
type Profile struct {
	DisplayName, PhoneNumber, PageURL, PageTitle, Locale string

	Email string // used only with a signed identity
}

// texts returns the texts that are stored for a profile.
func (p Profile) texts() []string {
	return []string{p.DisplayName, p.DisplayName, p.PhoneNumber, p.PageURL, p.PageTitle, p.Locale, p.Email} // the name is stored twice: also in the search key
}

// maxThreads is how many threads one socket may join. No page shows more.
const maxThreads = 16

// NewThreadSet returns a set of threads.
func NewThreadSet(ids ...string) *ThreadSet {
	t := &ThreadSet{threads: make(map[string]Profile, 1)}
	for _, id := range ids {
		t.threads[id] = Profile{}
	}
	return t
}

// Has reports whether id is in the set. A nil set is empty.
func (t *ThreadSet) Has(id string) bool {
	_, ok := t.profile(id)
	return ok
}

// Only returns the id if the set has exactly one.
func (t *ThreadSet) Only() (id string, ok bool) {
	if t == nil {
		return "", false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id = range t.threads {
	}
	return id, len(t.threads) == 1
}

// All returns all ids.
func (t *ThreadSet) All() []string {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, 0, len(t.threads))
	for id := range t.threads {
		ids = append(ids, id)
	}
	return ids
}

func (t *ThreadSet) profile(id string) (Profile, bool) {
	if t == nil {
		return Profile{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.threads[id]
	return p, ok
}

// put adds a thread. ok is false if the set is full; added reports whether the thread is new.
func (t *ThreadSet) put(id string, p Profile) (added, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.threads[id]
	if !known && len(t.threads) >= maxThreads {
		return false, false
	}
	t.threads[id] = p
	return !known, true
}

// mayReach reports whether the actor may access a thread.
func (a Actor) mayReach(threadID string) bool {
	if a.Role == Visitor {
		return a.Threads.Has(threadID)
	}
	return a.Role == Agent || a.Role == Telegram
}

// side returns the side whose read and received marks the actor moves.
func (a Actor) side() string {
	if a.Role == Visitor {
		return models.Visitor
	}
	return models.Admin
}

// agentOnly returns an error unless the actor is an agent.
func agentOnly(a Actor) error {
	if a.Role != Agent {
		return apperr.Unauthorized("Please sign in as an agent.")
	}
	return nil
}

// logAudit writes an entry about the actor to the audit log.
func (s *Service) logAudit(ctx context.Context, a Actor, event string) {
	name := a.Name
	if name == "" {
		name = string(a.Role)
	}
	s.audit.Write(ctx, audit.Event{Name: event, Actor: name, Address: a.Address, Outcome: audit.OK})
}

// reach checks a thread's id and whether the actor may access the thread.
func (a Actor) reach(threadID string) error {
	if !ValidThreadID(threadID) {
		return apperr.Invalid("thread_id", "thread_id is missing or malformed.")
	}
	if !a.mayReach(threadID) {
		return apperr.Unauthorized("Join this thread first.")
	}
	return nil
}
