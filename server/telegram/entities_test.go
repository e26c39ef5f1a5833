package telegram

import (
	"strings"
	"testing"
	"unicode/utf16"

	tele "gopkg.in/telebot.v3"
)

// mark returns an entity that covers the first occurrence of words in text.
func mark(t *testing.T, text, kind, words, url string) tele.MessageEntity {
	t.Helper()
	at := strings.Index(text, words)
	if at < 0 {
		t.Fatalf("%q is not in %q", words, text)
	}
	return tele.MessageEntity{
		Type: tele.EntityType(kind), URL: url,
		Offset: len(utf16.Encode([]rune(text[:at]))), Length: len(utf16.Encode([]rune(words))),
	}
}

func TestPlainText(t *testing.T) {
	type e struct{ kind, words, url string }
	for _, c := range []struct {
		name, text string
		entities   []e
		want       string
	}{
		{"none", "düz metin", nil, "düz metin"},
		{"a link", "buraya bakın", []e{{"text_link", "buraya", "https://example.com/a?b=1"}}, "buraya (https://example.com/a?b=1) bakın"},
		{"a link behind emoji", "👨‍👩‍👧‍👦😀 buraya 😀", []e{{"text_link", "buraya", "https://example.com/"}}, "👨‍👩‍👧‍👦😀 buraya (https://example.com/) 😀"},
		{"a link at the end", "son 😀", []e{{"text_link", "😀", "https://example.com/"}}, "son 😀 (https://example.com/)"},
		{"two links", "bir iki", []e{{"text_link", "bir", "https://a.example/"}, {"text_link", "iki", "https://b.example/"}}, "bir (https://a.example/) iki (https://b.example/)"},
		{"a link with a space behind it", "bir iki", []e{{"text_link", "bir ", "https://a.example/"}}, "bir (https://a.example/) iki"},
		{"one link in two pieces", "biriki", []e{{"text_link", "bir", "https://a.example/"}, {"text_link", "iki", "https://a.example/"}}, "biriki (https://a.example/)"},
		{"a link that shows its address", "example.com/a", []e{{"text_link", "example.com/a", "https://example.com/a/"}}, "example.com/a"},
		{"signs alone", "kalın eğik altı üstü gizli kod @biri", []e{{"bold", "kalın", ""}, {"italic", "eğik", ""}, {"underline", "altı", ""},
			{"strikethrough", "üstü", ""}, {"spoiler", "gizli", ""}, {"code", "kod", ""}, {"mention", "@biri", ""}}, "kalın eğik altı üstü gizli kod @biri"},
		{"a person and an emoji", "Ayşe 👍", []e{{"text_mention", "Ayşe", ""}, {"custom_emoji", "👍", ""}}, "Ayşe 👍"},
		{"a link in bold", "çok önemli yer", []e{{"bold", "çok önemli yer", ""}, {"text_link", "önemli", "https://a.example/"}}, "çok önemli (https://a.example/) yer"},
		{"a quote", "bir\niki\nüç", []e{{"blockquote", "bir\niki", ""}}, "> bir\n> iki\nüç"},
		{"a quote in a line", "önce alıntı sonra", []e{{"expandable_blockquote", "alıntı", ""}}, "önce \n> alıntı\n sonra"},
		{"a link at the end of a quote", "bir yer\nsonra", []e{{"blockquote", "bir yer", ""}, {"text_link", "yer", "https://a.example/"}}, "> bir yer (https://a.example/)\nsonra"},
		{"code in lines", "şunu yazın:\nif x {\n\ty()\n}\ntamam", []e{{"pre", "if x {\n\ty()\n}", ""}}, "şunu yazın:\nif x {\n\ty()\n}\ntamam"},
		{"beyond the end", "kısa", []e{}, "kısa"},
	} {
		var list tele.Entities
		for _, e := range c.entities {
			list = append(list, mark(t, c.text, e.kind, e.words, e.url))
		}
		if c.name == "beyond the end" {
			list = tele.Entities{{Type: "text_link", Offset: 2, Length: 99, URL: "https://a.example/"}, {Type: "text_link", Offset: 50, Length: 1, URL: "https://b.example/"}, {Type: "blockquote", Offset: -3, Length: 1}}
			c.want = "kısa (https://a.example/)"
		}
		if got := plainText(c.text, list); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
