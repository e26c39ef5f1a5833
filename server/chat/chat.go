// Package chat is the domain service: joining, posting, history, typing, read marks, presence, clearing.
//
// It checks permissions and input, stores the result and publishes events. It depends on the store and a few small interfaces; sockets,
// HTTP handlers and the Telegram bridge call it.
package chat

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/hours"
	"sohbet/server/signal"
)

// Store is the part of models.Store that chat uses.
type Store interface {
	CreateThread(context.Context, models.NewThread) (models.Thread, error)
	Thread(ctx context.Context, id string) (models.Thread, error)
	DisplayNames(ctx context.Context, ids []string) (map[string]string, error)
	UpdateThread(ctx context.Context, id string, p models.ThreadPatch) (models.Thread, error)
	Assign(ctx context.Context, id string, to models.AgentID, expected func(present models.AgentID) bool, note *models.Note) (models.Thread, error)
	Threads(context.Context, models.ThreadQuery) ([]models.Thread, error)
	CountThreads(context.Context) (models.ThreadCounts, error)
	CountAssigned(context.Context) (map[models.AgentID]int64, error)
	CountFound(ctx context.Context, search string) (int64, error)
	RecordActivity(ctx context.Context, id string, at time.Time) error
	MarkRead(ctx context.Context, threadID, reader string, lastID int64) (t models.Thread, moved bool, err error)
	MarkReceived(ctx context.Context, threadID, reader string, lastID int64) (t models.Thread, moved bool, err error)
	MedianFirstAnswer(context.Context) (usual time.Duration, known bool, err error)
	TrimFirstAnswers(context.Context) error
	StartClear(ctx context.Context, id string, by models.AgentID) (models.Job, error)
	StartDelete(ctx context.Context, id string, by models.AgentID) (models.Job, error)
	StartClearAll(ctx context.Context, by models.AgentID) (j models.Job, threads int64, err error)
	StartJob(ctx context.Context, kind, subject string) (models.Job, error)
	Jobs(context.Context) ([]models.Job, error)
	CountExpired(ctx context.Context, before time.Time) (int64, error)
	RepairTimes(context.Context) error
	Expire(ctx context.Context, before time.Time) ([]models.Expired, bool, error)
	RemoveEmpty(ctx context.Context, before, written time.Time) ([]models.Expired, bool, error)
	Append(ctx context.Context, m models.NewMessage, done func(models.Appended, error)) error
	Messages(ctx context.Context, threadID string, q models.MessageQuery) ([]models.Message, bool, error)
	MessagesBetween(ctx context.Context, threadID string, after, upTo int64, limit int) ([]models.Message, bool, error)
	MessagePage(ctx context.Context, threadID string, page, perPage int) ([]models.Message, int64, error)
	Block(ctx context.Context, threadID string, address bool, by models.AgentID) (models.Block, error)
	Unblock(ctx context.Context, threadID string) error
	Blocks(context.Context) ([]models.Block, error)
	BlockedBy(ctx context.Context, threadID string) (models.AgentID, error)
	Blocked(threadID, address string) bool
	LoadBlocks(context.Context) error
	RecordAddress(ctx context.Context, threadID, address string) error
	Message(ctx context.Context, id int64) (models.Message, error)
	EditMessage(ctx context.Context, threadID string, id int64, text string, by models.AgentID, at time.Time) (models.Message, error)
	SetReaction(ctx context.Context, threadID string, id int64, reaction string, by models.AgentID) (models.Message, error)
	Agent(id int64) (models.Agent, bool)
	Disabled(id models.AgentID) bool
	Agents() []models.Agent
	UpdateAgent(ctx context.Context, id int64, p models.AgentPatch) (models.Agent, error)
	AddNote(context.Context, models.Note) (models.Note, bool, error)
	Notes(ctx context.Context, threadID string) ([]models.Note, error)
	DeleteNote(ctx context.Context, threadID string, id int64) error
	Mentions(ctx context.Context, agent models.AgentID, limit int) ([]models.Thread, error)
	MarkNotesSeen(ctx context.Context, threadID string, agent models.AgentID) (changed bool, err error)
	ExpireAudit(ctx context.Context, before time.Time) (more bool, err error)
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

// Options are the dependencies and settings of a [Service].
type Options struct {
	Store     Store
	Files     Files  // nil = no file metadata is available
	Base      string // URL path prefix of this server's files in browsers; "" = the root
	Publisher Publisher
	Presence  Presence
	Topics    Topics
	// Messages limits how many messages a visitor may post, by thread; NewThreads how many threads an address may open.
	Messages, NewThreads Limiter
	Texts                Budget // kilobytes of text that a visitor may store, by thread; nil = unlimited
	Space                Space  // nil = disk space is not checked
	// OfflineAfter is how long a visitor without a socket still counts as online, so that a page reload does not appear as going
	// offline.
	OfflineAfter time.Duration
	Notifier     Notifier                   // nil = no notifications
	Wrote        func(agent models.AgentID) // called when an agent has written in Telegram; nil = not
	Identity     string                     // secret with which sites sign the identity of their users; "" = signed identities are refused
	Hours        *hours.Week                // opening hours; nil = always open
	Audit        *audit.Log                 // records what agents do; nil = not recorded
	// AuditRetention is how long entries of the audit log are kept; 0 = forever.
	AuditRetention time.Duration
	Logger         *slog.Logger
	Now            func() time.Time
}

// Service is the chat. It is safe for concurrent use.
type Service struct {
	store            Store
	files            Files
	base             string
	publisher        Publisher
	elsewhere        Presence
	topics           Topics
	messages         Limiter
	openings         Limiter
	texts            Budget
	space            Space
	audit            *audit.Log
	auditRetention   time.Duration
	log              *slog.Logger
	now              func() time.Time
	presence         presence
	lastSeen         lastSeenBatch
	pages            pages
	identity         atomic.Pointer[[]byte]
	notifier         Notifier
	wrote            func(agent models.AgentID)
	accepted         atomic.Uint64
	team             team
	counts           counts
	rechecks         rechecks
	publishedStorage string        // the storage status last sent to agents at this process; used only by [Service.WatchTeam]
	awayChanged      signal.Signal // signals that agents may have changed
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
		store: o.Store, files: o.Files, base: o.Base, publisher: o.Publisher, elsewhere: o.Presence, topics: o.Topics, messages: o.Messages, openings: o.NewThreads, texts: o.Texts, space: o.Space, publishedStorage: "ok",
		audit: o.Audit, auditRetention: o.AuditRetention, log: o.Logger, now: o.Now, awayChanged: signal.New(),
	}
	s.presence = presence{grace: o.OfflineAfter, here: make(map[string]*visitor)}
	s.pages.every, s.notifier = pageEvery, o.Notifier
	s.SetIdentitySecret(o.Identity)
	s.wrote = o.Wrote
	s.rechecks = rechecks{threads: make(map[string]struct{}), wake: signal.New()}
	s.team.hours.Store(o.Hours)
	s.team.replyTime.Store(-1)
	s.team.published = s.Team()
	s.topics.Subscribe(topicCleared, s.ClearedAll)
	return s
}

// Accepted returns the number of messages stored since the start, duplicates excluded.
func (s *Service) Accepted() uint64 { return s.accepted.Load() }

// logAudit writes what the actor did to the audit log.
func (s *Service) logAudit(ctx context.Context, a Actor, e audit.Event) {
	e.Actor, e.AgentID, e.Address, e.Outcome = cmp.Or(a.Name, string(a.Role)), a.AgentID, a.Address, audit.OK
	e.Browser = strings.TrimSpace(a.Browser + " " + a.Platform)
	s.audit.Write(ctx, e)
}
