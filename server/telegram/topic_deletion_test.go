package telegram_test

import (
	"net/http"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/server/telegram/telegramtest"
)

// topicOf waits until a visitor's first message has created a topic, and returns its index among all topics.
func (h *bridgeEnv) topicOf(name string) (threadID string, place int) {
	h.t.Helper()
	a, id := h.visitor(name)
	h.write(a, id, "from "+name)
	h.bot.Wait(h.t, patience, "the topic of "+name, func() bool { return h.said("from "+name) == 1 })
	h.settled() // the link is stored then
	return id, len(h.bot.Topics()) - 1
}

func TestADeletedConversationTakesItsTopicAlong(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	kept, keptAt := h.topicOf("Ayşe")
	gone, goneAt := h.topicOf("Bora")
	h.bot.Script(telegramtest.Fault{Method: "deleteForumTopic", Status: http.StatusBadGateway, Times: 2})
	if _, err := h.chatService.Delete(t.Context(), agent, gone); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the topic to be deleted", func() bool { return h.bot.Topics()[goneAt].Deleted })
	h.settled()
	if h.said("from Bora") != 0 || h.said("from Ayşe") != 1 || h.bot.Topics()[keptAt].Deleted {
		t.Errorf("%+v", h.bot.Topics())
	}
	// A topic that the operator deleted before is not an error.
	h.bot.Allow("TOPIC_ID_INVALID")
	h.bot.DeleteTopic(h.bot.Topics()[keptAt].ID)
	if _, err := h.chatService.Delete(t.Context(), agent, kept); err != nil {
		t.Fatal(err)
	}
	h.settled()
	if h.bridge.Health(t.Context()).Trouble.Reason != "" {
		t.Errorf("error: %+v", h.bridge.Health(t.Context()).Trouble)
	}
}

// Without the right to delete, the topic is closed, that is logged, and nothing is blocked.
func TestATopicThatCannotBeDeletedIsClosed(t *testing.T) {
	forum := telegramtest.Forum()
	forum.NoDelete = true
	h := newEnv(t, forum)
	h.bot.Allow("not enough rights to delete the topic")
	gone, at := h.topicOf("Ayşe")
	if _, err := h.chatService.Delete(t.Context(), agent, gone); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the topic to be closed", func() bool { return h.bot.Topics()[at].Closed })
	h.settled()
	if log := h.log.String(); !strings.Contains(log, "give the bot the right to delete messages") || strings.Contains(log, gone) {
		t.Errorf("the log says:\n%s", log)
	}
	// A topic that can be neither deleted nor closed stays queued until the bot gets the right.
	gone, at = h.topicOf("Bora")
	h.bot.Script(telegramtest.Fault{Method: "closeForumTopic", Status: http.StatusBadRequest, About: "Bad Request: CHAT_ADMIN_REQUIRED", Times: -1})
	if _, err := h.chatService.Delete(t.Context(), agent, gone); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the deletion to be tried", func() bool { return len(h.bot.Calls("closeForumTopic")) > 1 })
	cem, c := h.visitor("Cem")
	h.write(cem, c, "from Cem")
	h.bot.Wait(t, patience, "a message meanwhile", func() bool { return h.said("from Cem") == 1 })
	h.until("only the deletion to wait", func() bool { return h.bridge.Health(t.Context()).Waiting == 1 })
	if trouble := h.bridge.Health(t.Context()).Trouble.Reason; trouble != "" || h.bot.Topics()[at].Closed {
		t.Errorf("error %q, %+v", trouble, h.bot.Topics()[at])
	}
	h.bot.NoFaults()
	h.bot.Set(func(o *telegramtest.Options) { o.NoDelete = false })
	if _, err := h.chatService.Delete(t.Context(), agent, c); err != nil {
		t.Fatal(err)
	}
	h.settled()
	if topics := h.bot.Topics(); !topics[at].Deleted || !topics[at+1].Deleted {
		t.Errorf("%+v", topics)
	}
}

// A topic that is being created while its conversation is deleted is deleted too.
func TestTopicOfAConversationDeletedMeanwhileIsDeleted(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.topicOf("Ayşe") // the chat's properties are cached afterwards
	h.bot.Script(telegramtest.Fault{Method: "createForumTopic", Performed: true, Delay: patience / 60})
	a, id := h.visitor("Bora")
	h.write(a, id, "one")
	h.bot.Wait(t, patience, "the topic", func() bool { return len(h.bot.Topics()) == 2 })
	if _, err := h.chatService.Delete(t.Context(), agent, id); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the topic to be deleted", func() bool { return h.bot.Topics()[1].Deleted })
	h.settled()
	if _, err := h.store.TelegramThreadByTopic(t.Context(), telegramtest.GroupID, int64(h.bot.Topics()[1].ID)); err == nil {
		t.Error("the topic has a conversation")
	}
	if b, err := h.store.OutboxBacklog(t.Context(), models.ChannelTelegram); err != nil || b.Aside != 0 {
		t.Errorf("%+v, %v", b, err)
	}
}
