// Package telegram is the bridge between the conversations and the operator's chat in Telegram. Out: what visitors write, and what
// agents answer in the console, is taken from the outbox in order and sent. In: what the operator writes goes to the visitor.
//
// One process at a time does both, the one that holds the role; the others only send one-time codes.
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
	"sohbet/server/chat"
	"sohbet/server/media"
	"sohbet/server/outbox"
)

// Store is what the bridge needs of models.Store.
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

	SwitchPosition(ctx context.Context, name string) (string, error)
	SetSwitch(ctx context.Context, name, position string) error
	OutboxWake(context.Context) error

	Lease(ctx context.Context, role string) (*models.Lease, error)
}

// Chat is what the bridge needs of chat.Service.
type Chat interface {
	Post(context.Context, chat.Actor, chat.Post) (chat.Message, error)
	Edit(ctx context.Context, a chat.Actor, threadID string, messageID int64, text string) (chat.Message, error)
	React(ctx context.Context, a chat.Actor, threadID string, messageID int64, reaction string) error
	SetStatus(ctx context.Context, a chat.Actor, threadID, status string) error
	SetAway(ctx context.Context, a chat.Actor, away bool) error
	Delivered(ctx context.Context, a chat.Actor, threadID string, lastID int64) error
	ChannelState(chat.ChannelState)
	SetAside(ctx context.Context, threadID string, messageID int64, channel, reason string)
	Block(ctx context.Context, a chat.Actor, threadID string, address bool) error
	Unblock(ctx context.Context, a chat.Actor, threadID string) error
	Away() bool
	VisitorsOnline() int
}

// Media is what the bridge needs of media.Service. An error that is a *chat.Error tells the operator why.
type Media interface {
	Save(ctx context.Context, kind media.Kind, name string, r io.Reader) (media.File, error)
	SaveVideo(ctx context.Context, name string, r io.Reader, limit int64) (media.File, error)
	Open(ctx context.Context, url string) (io.ReadCloser, media.File, error)
}

// Options are the parts of a [Bridge].
type Options struct {
	Token      string
	ChatID     int64
	APIURL     string // without slash at the end
	WebhookURL string // "" = long polling
	Locale     string // of what is said to nobody in particular: "tr" or "en"
	Pace       Pace

	Store     Store
	Chat      Chat
	Media     Media
	Transport http.RoundTripper // nil = one of its own
	// Observe, if set, wraps the transport, to count what goes through it. It must keep no URL: they hold the token.
	Observe func(http.RoundTripper) http.RoundTripper
	Log     *slog.Logger
	Now     func() time.Time
}

// Bridge is the bridge. Its methods may be called from any goroutine.
type Bridge struct {
	api     *api
	botID   int64
	secret  string // what Telegram shows at the webhook
	webhook string // its address; "" = long polling
	locale  string
	store   Store
	chat    Chat
	files   Media
	log     *slog.Logger
	now     func() time.Time
	pace    *outbox.Pace
	sender  *outbox.Sender

	chatID  atomic.Int64 // changes when a group becomes a supergroup
	move    move
	name    atomic.Pointer[string]
	forged  atomic.Int64 // when the webhook was last called without the secret, in ns since 1970
	state   state
	turn    keyed          // held, by thread, while a topic is changed
	making  atomic.Int64   // topics that are being made
	asking  sync.WaitGroup // questions about the chat
	changes changes
	arrived chan struct{}
	renew   chan struct{} // asks for a fresh start
	alerts  chan string
	albums  albums
	hints   hints
	loads   chan struct{} // holds as many values as files are being downloaded
	forum   forum
}

// New makes the bridge.
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
		store: o.Store, chat: o.Chat, files: o.Media, log: o.Log, now: o.Now,
		pace: newPace(o.Pace, o.ChatID, o.Now), arrived: make(chan struct{}, 1), renew: make(chan struct{}, 1), alerts: make(chan string, 16), loads: make(chan struct{}, maxLoads),
		state: state{now: o.Now}, albums: albums{now: o.Now},
	}
	b.state.tell = func(p Problem) {
		b.chat.ChannelState(chat.ChannelState{Channel: models.ChannelTelegram, OK: p.Reason == "", Reason: p.Reason, Detail: p.Text, Cure: p.Cure})
	}
	b.chatID.Store(o.ChatID)
	b.api = &api{url: o.APIURL, pace: b.pace, transport: &transport{inner: o.Transport, token: o.Token, contact: b.state.heard}}
	b.sender = b.newSender()
	return b, nil
}

const (
	role        = "telegram"
	roleEvery   = 2 * time.Second
	contactLost = time.Minute // without a word from Telegram it is asked for one
)

// Run works until ctx ends.
func (b *Bridge) Run(ctx context.Context) {
	var parts sync.WaitGroup
	defer b.asking.Wait() // after those who ask
	defer parts.Wait()
	b.syncMoved(ctx)
	parts.Go(func() { b.tellAlerts(ctx) })
	parts.Go(func() { b.keepContact(ctx) })
	for ctx.Err() == nil {
		lease, err := b.store.Lease(ctx, role)
		if err != nil && ctx.Err() == nil {
			b.log.Debug("telegram: who receives cannot be settled", slog.Any("error", err))
		}
		if lease == nil {
			_ = outbox.Sleep(ctx, roleEvery) // ctx is looked at next
			continue
		}
		b.lead(ctx, lease)
	}
}

// lead sends and receives as long as the lease holds.
func (b *Bridge) lead(ctx context.Context, lease *models.Lease) {
	defer lease.Release()
	ctx, stop := context.WithCancel(lease.Context(ctx))
	defer stop()
	b.state.leading.Store(true)
	defer b.state.leading.Store(false)
	b.syncMoved(ctx) // the process that had the role before may have followed the group
	b.log.Info("telegram: this process sends and receives")
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
		b.log.Warn("telegram: this process lost its role: it was paused, or could not reach the database in time")
		stop()
	}
	parts.Wait()
}

// Reconnect drops the connections to Telegram, where this process has them, and begins anew.
func (b *Bridge) Reconnect() {
	if idle, ok := b.api.transport.inner.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	select {
	case b.renew <- struct{}{}:
	default: // asked for already
	}
}

// introduce registers the commands, in both languages, until that worked.
func (b *Bridge) introduce(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := b.register(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.Warn("telegram: the commands are not registered yet", slog.Any("error", err))
		if outbox.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// username is the bot's, without @; "" as long as it is not known.
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

// keepContact asks Telegram for a sign of life when there was none for a while, so that the health check knows.
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

// Doctor is the one who examines this bridge's set-up.
func (b *Bridge) Doctor() *Doctor {
	d := &Doctor{
		APIURL: b.api.url, Token: b.api.transport.token, ChatID: int64(b.to()), Former: b.former(), WebhookURL: b.webhook,
		Client: &http.Client{Transport: b.api.transport.inner}, Now: b.now,
		Trouble: func(ctx context.Context) Problem { return b.Health(ctx).Trouble },
	}
	if b.webhook == "" && b.state.leading.Load() {
		d.Conflict = b.state.conflict
	}
	return d
}

// to is the operator's chat.
func (b *Bridge) to() chatID { return chatID(b.chatID.Load()) }

// operator is who acts for people in Telegram.
var operator = chat.Actor{Role: chat.Telegram}
