package app

import (
	"strings"
	"testing"
	"unicode/utf16"

	"sohbet/server/telegram/telegramtest"
)

// entity covers the first occurrence of words in text.
func entity(text, kind, words, url string) telegramtest.Entity {
	before, _, _ := strings.Cut(text, words)
	return telegramtest.Entity{Type: kind, Offset: len(utf16.Encode([]rune(before))), Length: len(utf16.Encode([]rune(words))), URL: url}
}

// Markup of the operator reaches the visitor as text in which nothing is missing.
func TestMarkupReachesTheVisitorAsText(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("fiyat nedir?")
	topic := s.sent("fiyat nedir?").Topic

	text := "😀 Alıntı\nçok önemli liste burada"
	said := s.bot.Say(telegramtest.In{Topic: topic, Text: text, Entities: []telegramtest.Entity{
		entity(text, "blockquote", "😀 Alıntı", ""), entity(text, "bold", "çok önemli", ""), entity(text, "text_link", "liste", "https://example.com/liste"),
	}})
	ali.hears("message", "> 😀 Alıntı\nçok önemli liste (https://example.com/liste) burada")
	text = "yeni liste"
	s.bot.Edit(said.ID, text, entity(text, "text_link", "liste", "https://example.com/2"))
	ali.hears("message_edited", "yeni liste (https://example.com/2)")

	text = "mavi olan"
	s.bot.Say(telegramtest.In{Topic: topic, Photo: photo(t), Caption: text, Entities: []telegramtest.Entity{entity(text, "text_link", "mavi", "https://example.com/mavi")}})
	ali.hears("message", "mavi (https://example.com/mavi) olan")

	visitors := s.sent("fiyat nedir?").ID
	s.bot.Say(telegramtest.In{Topic: topic, ReplyTo: visitors, Text: "10 lira", Quote: &telegramtest.Quote{Text: "fiyat", Manual: true}})
	ali.hears("message", "> fiyat\n10 lira")
	s.bot.Say(telegramtest.In{Topic: topic, ReplyTo: visitors, Text: "peşin", Quote: &telegramtest.Quote{Text: "💬 Ali"}}) // which the server chose
	ali.hears("message", "peşin")
}
