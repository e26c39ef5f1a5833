package telegram_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// said returns how many messages of the bot contain a text.
func (h *bridgeEnv) said(text string) (n int) {
	for _, m := range h.bot.Sent() {
		if strings.Contains(m.Text, text) {
			n++
		}
	}
	return n
}

// A command is executed and answered once, whether or not the reply and the button's acknowledgement succeed.
func TestAFailedReplyRepeatsNothing(t *testing.T) {
	forum := telegramtest.Forum()
	forum.WriteInClosed = true
	h := newEnv(t, forum)
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	first := h.sent(1)[0]
	for i, fault := range []telegramtest.Fault{
		{Method: "answerCallbackQuery", Status: http.StatusInternalServerError, Times: -1},
		{Method: "answerCallbackQuery", Cut: true, Times: -1},
		{Method: "sendMessage", Text: "kapatıldı", Cut: true, Performed: true, Times: -1},
		{Method: "sendMessage", Text: "kapatıldı", Status: http.StatusBadGateway, Performed: true, Times: -1},
		{Method: "sendMessage", Text: "kapatıldı", Status: http.StatusTooManyRequests, RetryAfter: 1},
	} {
		h.bot.Script(fault)
		if i%2 == 0 {
			h.bot.Press(first.ID, first.ReplyMarkup.Keyboard[0][0].Data)
		} else {
			h.bot.Say(telegramtest.In{Topic: first.Topic, Text: "/close"})
		}
		h.bot.Wait(t, patience, "the reply", func() bool { return h.said("kapatıldı") > i })
		h.settled()
		if n := h.said("kapatıldı"); n != i+1 {
			t.Fatalf("%+v: %d replies, want %d", fault, n, i+1)
		}
		h.status(a, models.StatusClosed)
		h.bot.NoFaults()
	}
	if n := h.recorder.Events(a, "thread_status"); n != 1 {
		t.Errorf("the visitor was notified %d times that the conversation is closed", n)
	}
}

// slowList is a store whose list of pending updates is outdated when it is returned.
type slowList struct{ *models.Store }

func (s slowList) PendingUpdates(ctx context.Context, botID int64, limit int) ([]models.ReceivedUpdate, error) {
	list, err := s.Store.PendingUpdates(ctx, botID, limit)
	time.Sleep(50 * time.Millisecond)
	return list, err
}

// An update that is completed while the pending ones are being read is not processed again.
func TestNoUpdateIsActedOnTwice(t *testing.T) {
	h := newEnv(t, telegramtest.Forum(), func(o *telegram.Options) { o.Store = slowList{o.Store.(*models.Store)} })
	for i := range 10 {
		topic := h.bot.OpenTopic(fmt.Sprint(i))
		h.bot.Say(telegramtest.In{Topic: topic, Text: "/help"})
		time.Sleep(20 * time.Millisecond)
	}
	h.settled()
	time.Sleep(200 * time.Millisecond) // time for a second reply to arrive
	if n := len(h.bot.Sent()); n != 10 {
		t.Errorf("%d replies to 10 commands", n)
	}
}
