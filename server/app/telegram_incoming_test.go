package app

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"sohbet/server/telegram/telegramtest"
)

// entity returns an entity for the first occurrence of words in text.
func entity(text, kind, words, url string) telegramtest.Entity {
	before, _, _ := strings.Cut(text, words)
	return telegramtest.Entity{Type: kind, Offset: len(utf16.Encode([]rune(before))), Length: len(utf16.Encode([]rune(words))), URL: url}
}

// Formatting in the operator's message reaches the visitor as text without losses.
func TestMarkupReachesTheVisitorAsText(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("fiyat nedir?")
	topic := s.sent("fiyat nedir?").Topic

	text := "😀 Alıntı\nçok önemli liste burada"
	said := s.bot.Say(telegramtest.In{Topic: topic, Text: text, Entities: []telegramtest.Entity{
		entity(text, "blockquote", "😀 Alıntı", ""), entity(text, "bold", "çok önemli", ""), entity(text, "text_link", "liste", "https://example.com/liste"),
	}})
	ali.listensTo("message", "> 😀 Alıntı\nçok önemli liste (https://example.com/liste) burada")
	text = "yeni liste"
	s.bot.Edit(said.ID, text, entity(text, "text_link", "liste", "https://example.com/2"))
	ali.listensTo("message_edited", "yeni liste (https://example.com/2)")

	text = "mavi olan"
	s.bot.Say(telegramtest.In{Topic: topic, Photo: photo(t), Caption: text, Entities: []telegramtest.Entity{entity(text, "text_link", "mavi", "https://example.com/mavi")}})
	ali.listensTo("message", "mavi (https://example.com/mavi) olan")

	visitors := s.sent("fiyat nedir?").ID
	s.bot.Say(telegramtest.In{Topic: topic, ReplyTo: visitors, Text: "10 lira", Quote: &telegramtest.Quote{Text: "fiyat", Manual: true}})
	ali.listensTo("message", "> fiyat\n10 lira")
	s.bot.Say(telegramtest.In{Topic: topic, ReplyTo: visitors, Text: "peşin", Quote: &telegramtest.Quote{Text: "💬 Ali"}}) // the server determined the quoted text
	ali.listensTo("message", "peşin")
}

func short(m telegramtest.Message) string { return m.Text[strings.Index(m.Text, "#thread:"):] }

// Telegram messages other than text, images and audio reach the visitor in a form that the page can show.
func TestOtherKindsOfMessagesPass(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("neredesiniz?")
	topic := s.sent("neredesiniz?").Topic
	film := append([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), make([]byte, 64)...)
	for caption, in := range map[string]telegramtest.In{
		"film": {Video: film, Name: "tanıtım.mp4"}, "gif": {Animation: film}, "yuvarlak": {VideoNote: film}, "dosya": {Document: film, Name: "a.mp4", Type: "video/mp4"},
	} {
		in.Topic, in.Caption = topic, caption
		s.bot.Say(in)
		if h := ali.listensTo("message", caption); h.kind != "file" || string(s.download(h.file)) != string(film) {
			t.Errorf("%s: %+v", caption, h)
		}
	}
	place := telegramtest.Location{Latitude: 41.00824, Longitude: 28.97836}
	const link = "📍 https://www.openstreetmap.org/?mlat=41.00824&mlon=28.97836#map=17/41.00824/28.97836"
	for _, c := range []struct {
		other telegramtest.Message
		want  string
	}{
		{telegramtest.Message{Sticker: &telegramtest.Sticker{FileID: "s", UniqueID: "u", Type: "regular", Emoji: "🎉"}}, "🎉"},
		{telegramtest.Message{Location: &place}, link},
		{telegramtest.Message{Location: &place, Venue: &telegramtest.Venue{Location: place, Title: "Mağaza", Address: "Cadde 1"}}, "Mağaza\nCadde 1\n" + link},
		{telegramtest.Message{Contact: &telegramtest.Contact{PhoneNumber: "+902121234567", FirstName: "Ayşe", LastName: "Yılmaz"}}, "👤 Ayşe Yılmaz\n+902121234567"},
		{telegramtest.Message{Dice: &telegramtest.Dice{Emoji: "🎲", Value: 5}}, "🎲 5"},
	} {
		s.bot.Say(telegramtest.In{Topic: topic, Other: &c.other})
		ali.listensTo("message", c.want)
	}
	s.bot.Say(telegramtest.In{Topic: topic, Other: &telegramtest.Message{Poll: &telegramtest.Poll{ID: "1", Question: "Hangisi?"}}})
	s.sent("Bu tür mesajlar ziyaretçiye gönderilemiyor")
}

// A message that could not be assigned to a visitor is delivered once the operator names the visitor.
func TestLateTagsCount(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("resim var mı?")
	m := s.sent("resim var mı?")

	for _, caption := range []string{"", "", short(m) + " üçü"} {
		s.bot.Say(telegramtest.In{Photo: photo(t), Album: "9001", Caption: caption})
	}
	ali.listensTo("message", "üçü")
	if n := len(ali.all()); n != 3 {
		t.Errorf("%d of three pictures arrived", n)
	}

	said := s.bot.Say(telegramtest.In{Text: "kime yazdım?"})
	s.sent("hiç kimseye gönderilmedi")
	s.bot.Edit(said.ID, short(m)+" size yazdım")
	ali.listensTo("message", "size yazdım")
	s.bot.Edit(said.ID, short(m)+" size yazmıştım")
	ali.listensTo("message_edited", "size yazmıştım")

	first := s.bot.Say(telegramtest.In{Photo: photo(t), Album: "9002"})
	s.bot.Say(telegramtest.In{Photo: photo(t), Album: "9002", Caption: "öbürü"})
	s.bot.Edit(first.ID, short(m)+" biri")
	ali.listensTo("message", "biri")
	ali.listensTo("message", "öbürü")
	quiet(ali, m.Topic, "", "", "üçü", "size yazdım", "biri", "öbürü")
}

// An operator who writes on behalf of a channel gets a notice that no visitor receives the message.
func TestChannelStatesReachConsoles(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	topic := s.sent("merhaba").Topic
	s.bot.Say(telegramtest.In{Topic: topic, Text: "kanaldan", As: &telegramtest.Chat{ID: -1009990001112, Type: "channel", Title: "Duyuru"}})
	if m := s.sent("bir kanal adına yazıldı"); m.Topic != topic {
		t.Errorf("%+v", m)
	}
	s.bot.Say(telegramtest.In{Topic: topic, Text: "gruptan", As: &telegramtest.Chat{ID: telegramtest.GroupID, Type: "supergroup", Title: "Mağaza"}})
	ali.listensTo("message", "gruptan")
	quiet(ali, topic, "gruptan")
}

// A reaction of the operator is shown on the visitor's message, even if it arrives before Telegram's response to sending that message.
func TestReactionsReachTheVisitor(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	s.bot.Script(telegramtest.Fault{Method: "sendMessage", Text: "teşekkürler", Performed: true, Delay: time.Second})
	ali.say("teşekkürler")
	m := s.sent("teşekkürler")
	s.bot.React(m.ID, "👍")
	ali.listensTo("message_reaction", "👍 teşekkürler")
	s.bot.React(m.ID)
	ali.listensTo("message_reaction", " teşekkürler")
	said := s.bot.Say(telegramtest.In{Topic: m.Topic, Text: "rica ederim"})
	s.bot.React(said.ID, "🎉") // on the operator's own message
	quiet(ali, m.Topic, "rica ederim")
	ali.mu.Lock()
	defer ali.mu.Unlock()
	for _, h := range ali.received {
		if strings.Contains(h.text, "🎉") {
			t.Errorf("%+v", h)
		}
	}
}
