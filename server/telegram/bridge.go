// Package telegram is the bridge between conversations and the Telegram chat of the operators, who answer there instead of in the console.
// Outgoing: messages, edits and deletions are sent from the outbox in order. Incoming: messages, edits, reactions and commands of operators
// act on the conversations.
//
// One process at a time, the holder of the lease, sends from the outbox, polls, and acts on stored updates. Every process may send one-time
// codes and notices of wrong ones, stores updates that reach its webhook, and checks that Telegram responds.
package telegram

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/chat"
	"sohbet/server/media"
	"sohbet/server/outbox"
	"sohbet/server/signal"
)

// Store is the part of models.Store that the bridge uses.
type Store interface {
	Thread(ctx context.Context, id string) (models.Thread, error)
	Threads(context.Context, models.ThreadQuery) ([]models.Thread, error)
	Message(ctx context.Context, id int64) (models.Message, error)
	Messages(ctx context.Context, threadID string, q models.MessageQuery) ([]models.Message, bool, error)
	Person(context.Context, models.Thread) (models.Person, error)
	Check(context.Context) models.Condition

	outbox.Store
	OutboxSent(ctx context.Context, rows []models.OutboxRow, links []models.TelegramLink, part bool) (delivered int64, err error)
	OutboxBacklog(ctx context.Context, channel string) (models.Backlog, error)
	QueueTopic(ctx context.Context, threadID string) error

	TelegramThread(ctx context.Context, threadID string) (models.TelegramThread, bool, error)
	TelegramThreadByShortID(ctx context.Context, shortID string) (models.TelegramThread, error)
	TelegramThreadByTopic(ctx context.Context, chatID, topicID int64) (models.TelegramThread, error)
	SetTopic(context.Context, models.TelegramThread) error
	Link(context.Context, models.TelegramLink) error
	Linked(ctx context.Context, chatID, telegramMessageID int64) (models.TelegramLink, error)
	FirstLink(ctx context.Context, threadID string, chatID, topicID int64) (models.TelegramLink, error)
	LinksOf(ctx context.Context, messageID int64) ([]models.TelegramLink, error)
	LinkedMessages(ctx context.Context, chatID, telegramMessageID int64) ([]int64, error)

	RecordUpdates(context.Context, []models.ReceivedUpdate) error
	PendingUpdates(ctx context.Context, botID int64, limit int) ([]models.ReceivedUpdate, error)
	UpdateDone(ctx context.Context, u models.ReceivedUpdate, now time.Time) error
	UpdateTried(context.Context, models.ReceivedUpdate) error
	PurgeUpdates(ctx context.Context, before time.Time) (int64, error)

	Agent(id int64) (models.Agent, bool)
	FindAgent(username string) (models.Agent, bool)
	TelegramAgent(telegramID int64) (models.Agent, bool)
	LinkTelegram(ctx context.Context, code string, telegramID int64) (models.Agent, error)
	UpdateAgent(ctx context.Context, id int64, p models.AgentPatch) (models.Agent, error)

	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, position string) error
	OutboxRetry(context.Context) error

	Lease(ctx context.Context, role string) (*models.Lease, error)
}

// Chat is the part of chat.Service that the bridge uses.
type Chat interface {
	Post(context.Context, chat.Actor, chat.Post) (chat.Message, error)
	Edit(ctx context.Context, a chat.Actor, threadID string, messageID int64, text string) (chat.Message, error)
	React(ctx context.Context, a chat.Actor, threadID string, messageID int64, reaction string) error
	SetStatus(ctx context.Context, a chat.Actor, threadID, status string) error
	Assign(ctx context.Context, a chat.Actor, threadID string, to models.AgentID, from *models.AgentID, note string) error
	SetAway(ctx context.Context, a chat.Actor, away bool) error
	Delivered(ctx context.Context, a chat.Actor, threadID string, lastID int64) error
	ChannelState(chat.ChannelState)
	SetAside(ctx context.Context, threadID string, messageID int64, channel, reason string)
	Block(ctx context.Context, a chat.Actor, threadID string, address bool) error
	Unblock(ctx context.Context, a chat.Actor, threadID string) error
	Away() bool
	VisitorsOnline() int
}

// Media is the part of media.Service that the bridge uses. The message of an error of type *apperr.Error is shown to the operator.
type Media interface {
	Save(ctx context.Context, kind media.Kind, name string, r io.Reader) (media.File, error)
	SaveVideo(ctx context.Context, name string, r io.Reader, limit int64) (media.File, error)
	Open(ctx context.Context, url string) (io.ReadCloser, media.File, error)
}

// Options configure a [Bridge].
type Options struct {
	Token      string
	ChatID     int64
	APIURL     string // without a trailing slash
	WebhookURL string // "" = long polling
	Locale     string // language of messages to the chat as a whole: "tr" or "en"
	Pace       Pace

	TopicAssignees bool // topics show who answers
	RefuseUnlinked bool // only agents with a linked account act on conversations

	Store     Store
	Chat      Chat
	Media     Media
	Audit     *audit.Log        // records links of accounts; nil = not recorded
	Transport http.RoundTripper // nil = a new transport
	// Observe, if set, wraps the transport, for metrics. It must not store URLs: they contain the token.
	Observe func(http.RoundTripper) http.RoundTripper
	Log     *slog.Logger
	Now     func() time.Time
}

// Bridge is the Telegram bridge. It is safe for concurrent use.
type Bridge struct {
	api     *api
	botID   int64
	secret  string // secret token of the webhook
	webhook string // URL of the webhook; "" = long polling
	locale  string
	store   Store
	chat    Chat
	files   Media
	audit   *audit.Log
	log     *slog.Logger
	now     func() time.Time
	pace    *outbox.Pace
	sender  *outbox.Sender

	topicAssignees, refuseUnlinked bool

	linkAttempts linkAttempts

	chatID  atomic.Int64 // changes if a group becomes a supergroup
	move    move
	name    atomic.Pointer[string]
	forged  atomic.Int64 // last webhook call without the secret, Unix nanoseconds
	state   state
	turn    keyed          // per-thread lock while a topic is changed
	making  atomic.Int64   // topics being created
	asking  sync.WaitGroup // requests about the chat
	changes changes
	arrived signal.Signal
	renew   signal.Signal // signals a restart of the bridge
	alerts  chan string
	albums  albums
	hints   hints
	loads   chan struct{} // semaphore for file downloads
	forum   forum
}

// New returns the bridge.
func New(o Options) (*Bridge, error) {
	id, _, _ := strings.Cut(o.Token, ":")
	botID, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("telegram: the token is malformed")
	}
	secret, err := hkdf.Key(sha256.New, []byte(o.Token), nil, "sohbet telegram webhook", 32)
	if err != nil {
		return nil, fmt.Errorf("telegram: derive the webhook's secret: %w", err)
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = pollWait + callTimeout
		o.Transport = t
	}
	if o.Observe != nil {
		o.Transport = o.Observe(o.Transport)
	}
	b := &Bridge{
		botID: botID, secret: hex.EncodeToString(secret), webhook: webhookAddress(o.WebhookURL), locale: o.Locale,
		store: o.Store, chat: o.Chat, files: o.Media, audit: o.Audit, log: o.Log, now: o.Now,
		topicAssignees: o.TopicAssignees, refuseUnlinked: o.RefuseUnlinked, linkAttempts: newLinkAttempts(o.Now),
		pace: newPace(o.Pace, o.ChatID, o.Now), arrived: signal.New(), renew: signal.New(), alerts: make(chan string, 16), loads: make(chan struct{}, maxLoads),
		state: state{now: o.Now}, albums: albums{now: o.Now},
	}
	b.state.tell = func(p Problem) {
		b.chat.ChannelState(chat.ChannelState{Channel: models.ChannelTelegram, OK: p.Reason == "", Reason: p.Reason, Detail: p.Text, Cure: p.Cure})
	}
	b.chatID.Store(o.ChatID)
	b.api = &api{url: o.APIURL, pace: b.pace, transport: &transport{inner: o.Transport, token: o.Token, contact: b.state.updateReceived}}
	b.sender = b.newSender()
	return b, nil
}

const (
	role        = "telegram"
	roleEvery   = 2 * time.Second
	contactLost = time.Minute // without a response for this long Telegram is queried
)

// Run runs the bridge until ctx ends.
func (b *Bridge) Run(ctx context.Context) {
	var parts sync.WaitGroup
	defer b.asking.Wait() // after the goroutines that start requests
	defer parts.Wait()
	b.syncMoved(ctx)
	parts.Go(func() { b.sendAlerts(ctx) })
	parts.Go(func() { b.keepContact(ctx) })
	parts.Go(func() { b.sender.RunJournal(ctx) })
	for ctx.Err() == nil {
		lease, err := b.store.Lease(ctx, role)
		if err != nil && ctx.Err() == nil {
			b.log.Debug("telegram: failed to acquire the lease", slog.Any("error", err))
		}
		if lease == nil {
			_ = outbox.Sleep(ctx, roleEvery) // ctx is checked next
			continue
		}
		b.runLeader(ctx, lease)
	}
}

// runLeader sends and receives as long as the lease is held.
func (b *Bridge) runLeader(ctx context.Context, lease *models.Lease) {
	defer lease.Release()
	ctx, stop := context.WithCancel(lease.Context(ctx))
	defer stop()
	b.state.leading.Store(true)
	defer b.state.leading.Store(false)
	b.syncMoved(ctx) // the previous holder may have recorded that the group became a supergroup
	b.log.Info("telegram: this process is now sending and receiving")
	var parts sync.WaitGroup
	parts.Go(func() { b.introduce(ctx) })
	parts.Go(func() { b.sender.Run(ctx) })
	parts.Go(func() { b.receive(ctx) })
	parts.Go(func() { b.actOnAll(ctx) })
	select {
	case <-ctx.Done():
	case <-b.renew:
		stop()
	case <-lease.Lost():
		b.log.Warn("telegram: this process lost the lease: it was paused, or could not reach the database in time")
		stop()
	}
	parts.Wait()
}

// Reconnect closes the connections to Telegram and, if this process holds the lease, restarts sending and receiving.
func (b *Bridge) Reconnect() {
	if idle, ok := b.api.transport.inner.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	b.renew.Set()
}

// introduce registers the bot's commands in both languages, retrying until it succeeds.
func (b *Bridge) introduce(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := b.register(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.Warn("telegram: failed to register the commands; retrying", slog.Any("error", err))
		if outbox.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// username returns the bot's user name, without @; "" if it is unknown.
func (b *Bridge) username(ctx context.Context) string {
	if name := b.name.Load(); name != nil {
		return *name
	}
	var me tele.User
	if err := b.api.raw(ctx, callTimeout, "getMe", struct{}{}, &me); err != nil {
		return ""
	}
	b.name.Store(&me.Username)
	return me.Username
}

// keepContact makes a call to Telegram if there was no response for a while, for the health check.
func (b *Bridge) keepContact(ctx context.Context) {
	for {
		if b.now().Sub(b.state.contact()) >= contactLost || b.state.troubled("contact") {
			if err := b.api.raw(ctx, callTimeout, "getMe", struct{}{}, nil); ctx.Err() == nil {
				b.state.noted("contact", err)
			}
		}
		if outbox.Sleep(ctx, contactLost/4) != nil {
			return
		}
		b.syncMoved(ctx)
	}
}

// Doctor returns a Doctor for this bridge's configuration.
func (b *Bridge) Doctor() *Doctor {
	d := &Doctor{
		APIURL: b.api.url, Token: b.api.transport.token, ChatID: int64(b.recipient()), Former: b.formerChatID(), WebhookURL: b.webhook,
		Client: &http.Client{Transport: b.api.transport.inner}, Now: b.now,
		Trouble: func(ctx context.Context) Problem { return b.Health(ctx).Trouble },
	}
	if b.webhook == "" && b.state.leading.Load() {
		d.Conflict = b.state.conflict
	}
	return d
}

// recipient returns the operators' chat.
func (b *Bridge) recipient() chatID { return chatID(b.chatID.Load()) }

// operator is the actor for people in Telegram whose account is not linked to an agent.
var operator = chat.Actor{Role: chat.Telegram, Browser: "Telegram"}
