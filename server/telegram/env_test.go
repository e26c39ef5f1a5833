package telegram_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
	"sohbet/server/logging/loggingtest"
	"sohbet/server/media"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

const patience = time.Minute // timeout for asynchronous work of the bridge

type always struct{}

func (always) Allow(string, string) (bool, time.Duration) { return true, 0 }

// bridgeEnv is a site with a bot.
type bridgeEnv struct {
	t           *testing.T
	bot         *telegramtest.Server
	store       *models.Store
	chatService *chat.Service
	files       *media.Service
	recorder    *chattest.Recorder
	bridge      *telegram.Bridge
	log         *loggingtest.Buffer
	o           telegram.Options
	stop        func() // stops the bridge and waits for it
}

// newEnv opens a site with a bot on a fake Telegram.
func newEnv(t *testing.T, o telegramtest.Options, change ...func(*telegram.Options)) *bridgeEnv {
	t.Helper()
	so := storetest.Options(t, "sqlite")
	so.Telegram = true
	return newEnvOn(t, telegramtest.New(t, o), storetest.Reopen(t, so), change...)
}

func newEnvOn(t *testing.T, bot *telegramtest.Server, store *models.Store, change ...func(*telegram.Options)) *bridgeEnv {
	t.Helper()
	h := &bridgeEnv{t: t, bot: bot, store: store, recorder: &chattest.Recorder{}, log: &loggingtest.Buffer{}}
	log := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	h.files, err = media.New(media.Options{
		Dir: filepath.Join(t.TempDir(), "uploads"), Limit: 1 << 30, Free: func() (uint64, error) { return 1 << 40, nil },
		Store: store, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.files.Close(); err != nil {
			t.Error(err)
		}
	})
	h.chatService = chat.New(chat.Options{Store: store, Files: h.files, Publisher: h.recorder, Messages: always{}, NewThreads: always{}, Logger: log})
	o := telegram.Options{
		Token: telegramtest.Token, ChatID: telegramtest.GroupID, APIURL: bot.URL, Locale: "tr", Pace: telegram.Pace{Off: true},
		Store: store, Chat: h.chatService, Media: h.files, Log: log, Now: time.Now,
	}
	for _, f := range change {
		f(&o)
	}
	h.o = o
	h.start()
	t.Cleanup(func() {
		h.stop()
		if strings.Contains(h.log.String(), telegramtest.Token) {
			t.Error("the token is in the log")
		}
	})
	return h
}

// start runs a bridge.
func (h *bridgeEnv) start() {
	h.t.Helper()
	var err error
	if h.bridge, err = telegram.New(h.o); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.bridge.Run(ctx)
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			h.t.Error("the bridge does not stop")
		}
	})
}

// visitor joins with a name.
func (h *bridgeEnv) visitor(name string) (chat.Actor, string) {
	h.t.Helper()
	a := chat.Actor{Role: chat.Visitor, SocketID: "visitor-" + name, Address: "192.0.2.1", Threads: chat.NewThreadSet()}
	j, err := h.chatService.Join(h.t.Context(), a, chat.JoinRequest{Profile: chat.Profile{DisplayName: name}})
	if err != nil {
		h.t.Fatal(err)
	}
	return a, j.ThreadID
}

var agent = chat.Actor{Role: chat.Agent, SocketID: "agent"}

func (h *bridgeEnv) post(a chat.Actor, p chat.Post) chat.Message {
	h.t.Helper()
	m, err := h.chatService.Post(h.t.Context(), a, p)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *bridgeEnv) write(a chat.Actor, threadID, text string) chat.Message {
	h.t.Helper()
	return h.post(a, chat.Post{ThreadID: threadID, Text: text})
}

// history returns a thread as its visitor sees it, as "sender: text".
func (h *bridgeEnv) history(threadID string) []string {
	h.t.Helper()
	list, _, err := h.store.Messages(h.t.Context(), threadID, models.MessageQuery{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		out = append(out, m.SenderType+": "+m.ContentText)
	}
	return out
}

// sent waits until the bot has sent n messages, and returns them.
func (h *bridgeEnv) sent(n int) []telegramtest.Message {
	h.t.Helper()
	h.bot.Wait(h.t, patience, fmt.Sprintf("message %d from the bot", n), func() bool { return len(h.bot.Sent()) >= n })
	return h.bot.Sent()
}

// received waits until a thread has n messages.
func (h *bridgeEnv) received(threadID string, n int) []string {
	h.t.Helper()
	h.until(fmt.Sprintf("%d messages in the thread", n), func() bool { return len(h.history(threadID)) >= n })
	return h.history(threadID)
}

// until waits for a condition that is not visible to the fake Telegram.
func (h *bridgeEnv) until(what string, cond func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s did not come true; log:\n%s", what, h.log)
		}
	}
}

// settled waits until all updates were fetched and processed, and nothing is queued.
func (h *bridgeEnv) settled() {
	h.t.Helper()
	h.until("quiet", func() bool {
		if h.bot.Pending() > 0 {
			return false
		}
		pending, err := h.store.PendingUpdates(h.t.Context(), 7123456789, 1)
		if err != nil {
			h.t.Fatal(err)
		}
		backlog, err := h.store.OutboxBacklog(h.t.Context(), models.ChannelTelegram)
		if err != nil {
			h.t.Fatal(err)
		}
		return len(pending) == 0 && backlog.Rows == 0
	})
}
