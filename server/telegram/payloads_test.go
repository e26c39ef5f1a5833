package telegram_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sohbet/server/telegram/telegramtest"
)

// TestMarkupStaysTextInTelegram sends a hundred injection attempts, including Telegram's own markup, as name and as message. The bot
// sends HTML, so each must arrive literally and without entities.
func TestMarkupStaysTextInTelegram(t *testing.T) {
	cores := []string{
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", `<a href="javascript:alert(1)">x</a>`, `<a href="tg://user?id=1">x</a>`,
		"<b>bold</b>", "<i>", "</i>", "<pre><code class=\"language-go\">x</code></pre>", "<tg-spoiler>x</tg-spoiler>", "<blockquote expandable>x</blockquote>",
		"&lt;b&gt;", "&amp;amp;", "&#60;b&#62;", "&nosuch;", "*bold* _italic_ `code`", "[x](http://evil.invalid)", "||x||", "~~x~~", "<tg-emoji emoji-id=\"1\">x</tg-emoji>",
	}
	h := newEnv(t, telegramtest.Forum())
	var want []string
	for i, before := range []string{"", `">`, "'>`;", "</b></a></pre>", "--><![CDATA["} {
		for j, core := range cores {
			payload := before + core
			visitor, thread := h.visitor(fmt.Sprintf("%d-%d %s", i, j, payload))
			h.write(visitor, thread, payload)
			want = append(want, fmt.Sprintf("💬 %d-%d %s\n%s\n", i, j, payload, payload))
		}
	}
	h.sent(len(want))
	h.settled()
	tag := regexp.MustCompile(`#thread:\w+$`)
	got := make(map[string]bool)
	for _, m := range h.bot.Sent() {
		got[tag.ReplaceAllString(m.Text, "")] = true
		for _, e := range m.Entities {
			if e.Type != "bold" || !strings.HasPrefix(m.Text, "💬") {
				t.Errorf("a %s in %q", e.Type, m.Text)
			}
		}
	}
	for _, text := range want {
		if !got[text] {
			t.Errorf("did not arrive as it was written: %q", text)
		}
	}
}
