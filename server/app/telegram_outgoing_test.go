package app

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"sohbet/bench/process"
	"sohbet/server/media/mediatest"
	"sohbet/server/telegram/telegramtest"
)

// A button whose acknowledgement fails takes effect only once.
func TestAFailedAcknowledgementRepeatsNothing(t *testing.T) {
	t.Parallel()
	options := telegramtest.Forum()
	options.WriteInClosed = true
	s := openShop(t, options)
	ali := s.visit("Ali")
	ali.say("merhaba")
	first := s.sent("merhaba")
	s.bot.Script(telegramtest.Fault{Method: "answerCallbackQuery", Status: http.StatusInternalServerError, Times: -1})
	s.bot.Press(first.ID, first.ReplyMarkup.Keyboard[0][0].Data)
	ali.listensTo("thread_status", "closed")
	s.sent("Konuşma kapatıldı")
	s.bot.Say(telegramtest.In{Topic: first.Topic, Text: "son söz"}) // processed after everything before it
	ali.listensTo("message", "son söz")
	said := 0
	for _, m := range s.bot.Sent() {
		if strings.Contains(m.Text, "Konuşma kapatıldı") {
			said++
		}
	}
	if said != 1 || ali.count("thread_status") != 1 {
		t.Errorf("%d replies, %d events", said, ali.count("thread_status"))
	}
}

// The topic of a conversation that is deleted while Telegram is unreachable is deleted after a restart.
func TestADeletedConversationTakesItsTopicAlong(t *testing.T) {
	t.Parallel()
	dir, bot := t.TempDir(), telegramtest.New(t, telegramtest.Forum())
	s := openShopIn(t, dir, bot, telegramtest.Forum())
	agent := s.agent()
	ali, veli := s.visit("Ali"), s.visit("Veli")
	ali.say("silinecek")
	gone := s.sent("silinecek").Topic
	veli.say("kalacak")
	kept := s.sent("kalacak").Topic
	s.waits("both to be stored as sent", patience, func() bool { return ali.mark() > 0 && veli.mark() > 0 })
	bot.SetDown(true)
	if answer := agent.call("POST", "/api/threads/delete", `{"thread_id":"`+ali.thread+`"}`); !strings.Contains(answer, `"success":true`) {
		t.Fatal(answer)
	}
	s.Kill()
	bot.SetDown(false)
	openShopIn(t, dir, bot, telegramtest.Forum())
	bot.Wait(t, patience, "the topic to be deleted", func() bool {
		for _, topic := range bot.Topics() {
			if topic.ID == gone {
				return topic.Deleted
			}
		}
		return false
	})
	for _, m := range bot.Sent() {
		if m.Topic == gone || m.Topic != kept && strings.Contains(m.Text, "kalacak") {
			t.Errorf("still there: %+v", m)
		}
	}
}

// openShopIn is like openShopOn, with an existing data folder.
func openShopIn(t *testing.T, dir string, bot *telegramtest.Server, options telegramtest.Options) *shop {
	t.Helper()
	return &shop{Process: process.Start(t, dir, shopEnv(bot, options)...), t: t, bot: bot}
}

// The first message in a topic describes the visitor, also in a topic created because the operator deleted the previous one.
func TestATopicBeginsWithItsVisitor(t *testing.T) {
	t.Parallel()
	s := openShop(t, telegramtest.Forum())
	s.bot.Allow("message thread not found")
	g := s.page(nil)
	g.emit("join", map[string]string{
		"display_name": "Ali", "page_url": "https://shop.example/sepet?a=1&b=<2>", "page_title": "Sepet & Ödeme", "locale": "tr-TR", "phone_number": "+90 555 111 22 33",
	})
	<-g.joined
	g.say("merhaba")
	first := s.sent("merhaba")
	want := "💬 Ali\nmerhaba\nSayfa: Sepet & Ödeme https://shop.example/sepet?a=1&b=<2>\nDil: tr-TR\nTelefon: +90 555 111 22 33\n#thread:"
	if !strings.HasPrefix(first.Text, want) {
		t.Errorf("it begins with %q", first.Text)
	}
	for _, line := range []string{"bir", "iki", "üç", "dört", "beş"} {
		g.say(line)
	}
	s.sent("beş")
	s.bot.DeleteTopic(first.Topic)
	g.say("buradayım")
	s.sent("buradayım")
	begin := s.sent("Konuşmanın son satırları:")
	if begin.Topic == first.Topic || !strings.HasPrefix(begin.Text, "👤 Ali\nKonuşmanın son satırları:\nAli: bir\nAli: iki\nAli: üç\nAli: dört\nAli: beş\nSayfa: ") {
		t.Errorf("the new topic begins with %q", begin.Text)
	}
}

// A recording made by Chrome arrives as a voice message.
func TestARecordingOfChromesIsAVoiceMessage(t *testing.T) {
	t.Parallel()
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	packets := mediatest.OpusPackets(150)
	ali.emit("message", map[string]string{"type": "audio", "file_url": s.upload("audio", "ses.webm", mediatest.WebMOpus(packets)), "text": "dinler misiniz?"})
	m := s.sent("dinler misiniz?")
	if m.Voice == nil {
		t.Fatalf("%+v", m)
	}
	if sent := s.bot.File(m.Voice.FileID); !bytes.HasPrefix(sent, []byte("OggS")) || !bytes.Contains(sent, packets[149]) {
		t.Errorf("%d bytes", len(sent))
	}
}
