package telegramtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tele "gopkg.in/telebot.v3"
)

// book collects the reports of the fake in tests of refused calls.
type book struct {
	mu    sync.Mutex
	lines []string
}

func (b *book) Helper() {}
func (b *book) Errorf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func client(t *testing.T, s *Server) *tele.Bot {
	t.Helper()
	bot, err := tele.NewBot(tele.Settings{URL: s.URL, Token: Token, Client: &http.Client{Timeout: 10 * time.Second}, ParseMode: tele.ModeHTML})
	if err != nil {
		t.Fatal(err)
	}
	return bot
}

var group = &tele.Chat{ID: GroupID}

func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var opus = append([]byte("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00OpusHead"), make([]byte, 100)...)
var webm = append([]byte("\x1A\x45\xDF\xA3\x9FB\x86\x81\x01B\xF7\x81\x01B\xF2\x81\x04B\xF3\x81\x08B\x82\x84webm"), make([]byte, 100)...)

func TestTelebotWorksWithTheFake(t *testing.T) {
	s := New(t, Forum())
	bot := client(t, s)
	topic, err := bot.CreateTopic(group, &tele.Topic{Name: "Ali", IconColor: 7322096})
	if err != nil {
		t.Fatal(err)
	}
	markup := bot.NewMarkup()
	markup.Inline(markup.Row(markup.Data("Kapat", "close", "42")))
	text, err := bot.Send(group, "💬 <b>Ali</b>\n1 &lt; 2", &tele.SendOptions{ThreadID: topic.ThreadID, ReplyMarkup: markup, ParseMode: tele.ModeHTML})
	if err != nil || text.Text != "💬 Ali\n1 < 2" || text.ThreadID != topic.ThreadID || len(text.Entities) != 1 || text.Entities[0].Offset != 3 {
		t.Fatalf("%+v %v", text, err)
	}
	photo, err := bot.Send(group, &tele.Photo{File: tele.FromReader(bytes.NewReader(picture(t, 320, 200))), Caption: "resim"}, &tele.SendOptions{ThreadID: topic.ThreadID})
	if err != nil || photo.Photo == nil || photo.Photo.Width != 320 || photo.Caption != "resim" {
		t.Fatalf("%+v %v", photo, err)
	}
	voice, err := bot.Send(group, &tele.Voice{File: tele.FromReader(bytes.NewReader(opus))})
	if err != nil || voice.Voice == nil {
		t.Fatalf("%+v %v", voice, err)
	}
	document, err := bot.Send(group, &tele.Document{File: tele.FromReader(bytes.NewReader(webm)), FileName: "ses.webm"})
	if err != nil || document.Document == nil || document.Document.FileName != "ses.webm" {
		t.Fatalf("%+v %v", document, err)
	}
	reader, err := bot.File(&tele.File{FileID: photo.Photo.FileID})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil || !bytes.Equal(got, picture(t, 320, 200)) {
		t.Fatalf("%d bytes %v", len(got), err)
	}
	if _, err := bot.Edit(text, "başka", tele.ModeHTML); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"rename":   func() error { return bot.EditTopic(group, &tele.Topic{ThreadID: topic.ThreadID, Name: "Ali 2"}) },
		"close":    func() error { return bot.CloseTopic(group, topic) },
		"commands": func() error { return bot.SetCommands([]tele.Command{{Text: "help", Description: "yardım"}}, "tr") },
		"typing":   func() error { return bot.Notify(group, tele.Typing) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	member, err := bot.ChatMemberOf(group, bot.Me)
	if err != nil || member.Role != tele.Administrator || !member.CanManageTopics {
		t.Fatalf("%+v %v", member, err)
	}
	if topics := s.Topics(); len(topics) != 1 || topics[0].Name != "Ali 2" || !topics[0].Closed || !topics[0].ByBot {
		t.Fatalf("%+v", topics)
	}
	if sent := s.Sent(); len(sent) != 4 || sent[0].Text != "başka" {
		t.Fatalf("%+v", sent)
	}
	if c := s.Calls("sendPhoto"); len(c) != 1 || len(c[0].Files["photo"].Data) == 0 || c[0].Params["caption"] != "resim" || c[0].Status != 200 {
		t.Fatalf("%+v", c)
	}
	if !bytes.Contains(s.Commands("tr"), []byte("yardım")) {
		t.Fatal("commands")
	}
}

// Each case is a call that the real API refuses, with its error text.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("ş", 4096)
	for _, c := range []struct{ method, params, want string }{
		{"sendMessage", `{"text":"x"}`, "chat_id is empty"},
		{"sendMessage", `{"chat_id":"-100999","text":"x"}`, "chat not found"},
		{"sendMessage", `{"chat_id":"G","text":" \n "}`, "message text is empty"},
		{"sendMessage", `{"chat_id":"G","text":"` + long + `s"}`, "message is too long"},
		{"sendMessage", `{"chat_id":"G","text":"` + strings.Repeat("😀", 2049) + `"}`, "message is too long"},
		{"sendMessage", `{"chat_id":"G","text":"I <3 you","parse_mode":"HTML"}`, `Unsupported start tag "3`},
		{"sendMessage", `{"chat_id":"G","text":"<b>x","parse_mode":"HTML"}`, "Can't find end tag"},
		{"sendMessage", `{"chat_id":"G","text":"<b><i>x</b></i>","parse_mode":"HTML"}`, "Unmatched end tag"},
		{"sendMessage", `{"chat_id":"G","text":"x</b>","parse_mode":"HTML"}`, "Unexpected end tag"},
		{"sendMessage", `{"chat_id":"G","text":"x","message_thread_id":77}`, "message thread not found"},
		{"sendMessage", `{"chat_id":"G","text":"x","message_thread_id":"CLOSED"}`, "TOPIC_CLOSED"},
		{"sendMessage", `{"chat_id":"G","text":"x","message_thread_id":"DELETED"}`, "message thread not found"},
		{"sendMessage", `{"chat_id":"G","text":"x","reply_to_message_id":555}`, "message to be replied not found"},
		{"sendMessage", `{"chat_id":"G","text":"x","reply_parameters":{"message_id":555}}`, "message to be replied not found"},
		{"sendMessage", `{"chat_id":"G","text":"x","reply_markup":{"inline_keyboard":[[{"text":"a","callback_data":"` + strings.Repeat("x", 65) + `"}]]}}`, "BUTTON_DATA_INVALID"},
		{"sendMessage", `{"chat_id":"G","text":`, "can't parse the request"},
		{"sendPhoto", `{"chat_id":"G"}`, "there is no photo in the request"},
		{"sendPhoto", `{"chat_id":"G","photo":"AwAC-unknown"}`, "wrong file identifier"},
		{"sendPhoto", `{"chat_id":"G","photo":"x","caption":"` + long[:1026*2] + `"}`, "message caption is too long"},
		{"editMessageText", `{"chat_id":"G","message_id":900,"text":"x"}`, "message to edit not found"},
		{"answerCallbackQuery", `{"callback_query_id":"1"}`, "query is too old"},
		{"getFile", `{"file_id":"nope"}`, "wrong file_id"},
		{"createForumTopic", `{"chat_id":"G","name":""}`, "TOPIC_TITLE_EMPTY"},
		{"createForumTopic", `{"chat_id":"G","name":"` + long[:129*2] + `"}`, "TOPIC_TITLE_INVALID"},
		{"closeForumTopic", `{"chat_id":"G","message_thread_id":"CLOSED"}`, "TOPIC_NOT_MODIFIED"},
		{"reopenForumTopic", `{"chat_id":"G","message_thread_id":"DELETED"}`, "TOPIC_ID_INVALID"},
		{"setMyCommands", `{"commands":[{"command":"Help","description":"x"}]}`, "BOT_COMMAND_INVALID"},
		{"setWebhook", `{"url":"http://example.com/x"}`, "An HTTPS URL must be provided"},
		{"setWebhook", `{"url":"https://example.com:9000/x"}`, "only on ports"},
		{"setWebhook", `{"url":"https://example.com/x","secret_token":"a b"}`, "unallowed characters"},
		{"getUpdates", `{"allowed_updates":["messages"]}`, "unknown update type"},
		{"getUpdates", `{"limit":101}`, "invalid limit"},
		{"sendMesage", `{}`, "Not Found"},
	} {
		t.Run(c.method+" "+c.want, func(t *testing.T) {
			var reports book
			s, err := Start(&reports, "127.0.0.1:0", Forum())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			closed, deleted := s.OpenTopic("kapalı"), s.OpenTopic("silinmiş")
			s.CloseTopic(closed)
			s.DeleteTopic(deleted)
			params := strings.NewReplacer(`"G"`, fmt.Sprint(GroupID), "CLOSED", fmt.Sprint(closed), "DELETED", fmt.Sprint(deleted)).Replace(c.params)
			response, err := http.Post(s.URL+"/bot"+Token+"/"+c.method, "application/json", strings.NewReader(params))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode/100 != 4 {
				t.Fatalf("%d %s %v", response.StatusCode, body, err)
			}
			var answer struct{ Description string }
			if err := json.Unmarshal(body, &answer); err != nil || !strings.Contains(answer.Description, c.want) {
				t.Fatalf("%s %v, wanted %q", body, err, c.want)
			}
			if len(reports.lines) != 1 || !strings.Contains(reports.lines[0], c.want) {
				t.Fatalf("reported %q", reports.lines)
			}
		})
	}
}

func TestWrongTokens(t *testing.T) {
	s := New(t, Forum())
	s.Allow("Unauthorized")
	s.Allow("Not Found")
	for token, want := range map[string]int{"123:wrong": http.StatusUnauthorized, "nonsense": http.StatusNotFound} {
		response, err := http.Get(s.URL + "/bot" + token + "/getMe")
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: %d %v", token, response.StatusCode, err)
		}
	}
}

func poll(t *testing.T, s *Server, offset, timeout int) (int, []map[string]json.RawMessage) {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("%s/bot%s/getUpdates?offset=%d&timeout=%d", s.URL, Token, offset, timeout))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Result []map[string]json.RawMessage
	}
	if err := errors.Join(json.NewDecoder(response.Body).Decode(&answer), response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer.Result
}

func number(t *testing.T, u map[string]json.RawMessage) int {
	t.Helper()
	var id int
	if err := json.Unmarshal(u["update_id"], &id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOffsetsConfirm(t *testing.T) {
	s := New(t, Forum())
	first := s.Say(In{Text: "bir"})
	s.Say(In{Text: "iki"})
	_, got := poll(t, s, 0, 0)
	_, again := poll(t, s, 0, 0)
	if len(got) != 2 || len(again) != 2 {
		t.Fatalf("unconfirmed updates must come again: %d, %d", len(got), len(again))
	}
	next := number(t, got[1]) + 1
	if _, rest := poll(t, s, next, 0); len(rest) != 0 || s.Pending() != 0 {
		t.Fatalf("confirmed updates came again: %v", rest)
	}
	s.Redeliver(first.ID)
	if _, twice := poll(t, s, next, 0); len(twice) != 1 || number(t, twice[0]) != number(t, got[0]) {
		t.Fatalf("%v", twice)
	}
	if _, rest := poll(t, s, next, 0); len(rest) != 0 {
		t.Fatalf("%v", rest)
	}
}

func TestLongPollWakesAndConflicts(t *testing.T) {
	s := New(t, Forum())
	s.Allow("terminated by other getUpdates")
	s.Allow("webhook is active")
	type answer struct {
		status int
		got    []map[string]json.RawMessage
	}
	ask := func() chan answer {
		ch := make(chan answer, 1)
		go func() {
			status, got := poll(t, s, 0, 30)
			ch <- answer{status, got}
		}()
		return ch
	}
	first := ask()
	s.Wait(t, 5*time.Second, "a poller", s.Polled)
	second := ask()
	if a := <-first; a.status != http.StatusConflict {
		t.Fatalf("the first poller got %d", a.status)
	}
	s.Wait(t, 5*time.Second, "a poller", s.Polled)
	s.Say(In{Text: "merhaba"})
	if a := <-second; a.status != http.StatusOK || len(a.got) != 1 {
		t.Fatalf("%+v", a)
	}
	s.Hook("https://example.com/hook")
	if status, _ := poll(t, s, 0, 0); status != http.StatusConflict {
		t.Fatalf("%d", status)
	}
}

func TestTopicsAndRepliesLookLikeTelegrams(t *testing.T) {
	s := New(t, Forum())
	topic := s.OpenTopic("Ali")
	in := s.Say(In{Topic: topic, Text: "selam"})
	if !in.InTopic || in.Topic != topic || in.ReplyTo == nil || in.ReplyTo.TopicCreated == nil {
		t.Fatalf("%+v", in)
	}
	reply := s.Say(In{ReplyTo: in.ID, Text: "sana"})
	if reply.ReplyTo == nil || reply.ReplyTo.ID != in.ID || reply.Topic != topic {
		t.Fatalf("%+v", reply)
	}
	plain := New(t, Options{Chat: Chat{ID: GroupID, Type: "supergroup"}, Admin: true})
	question := plain.Say(In{Text: "soru"})
	if answer := plain.Say(In{ReplyTo: question.ID, Text: "cevap"}); answer.InTopic || answer.Topic != question.ID {
		t.Fatalf("%+v", answer)
	}
}

func TestPrivacyModeHidesTalk(t *testing.T) {
	s := New(t, Options{})
	s.Say(In{Text: "kimse duymaz"})
	s.Say(In{Text: "/help"})
	if n := s.Pending(); n != 1 {
		t.Fatalf("%d updates", n)
	}
}

func TestWebhookDelivers(t *testing.T) {
	var reports book
	s, err := Start(&reports, "127.0.0.1:0", Options{Admin: true, HTTPWebhook: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	type delivery struct{ secret, body string }
	got := make(chan delivery, 10)
	refuse := true
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{r.Header.Get("X-Telegram-Bot-Api-Secret-Token"), string(body)}
		if refuse {
			refuse = false
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer hook.Close()
	bot := client(t, s)
	if err := bot.SetWebhook(&tele.Webhook{Endpoint: &tele.WebhookEndpoint{PublicURL: hook.URL}, SecretToken: "gizli_1", AllowedUpdates: []string{"message"}}); err != nil {
		t.Fatal(err)
	}
	s.Say(In{Text: "bir"})
	for i := range 2 { // twice, because the first delivery was answered with a 500
		if d := <-got; d.secret != "gizli_1" || !strings.Contains(d.body, `"bir"`) {
			t.Fatalf("%d: %+v", i, d)
		}
	}
	s.Wait(t, 5*time.Second, "delivery", func() bool { return s.Pending() == 0 })
	if info, err := bot.Webhook(); err != nil || info.Listen != hook.URL {
		t.Fatalf("%+v %v", info, err)
	}
	if err := bot.RemoveWebhook(); err != nil || s.Hooked() != "" {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	s := New(t, Forum())
	bot := client(t, s)
	s.Script(
		Fault{Method: "sendMessage", Status: 429, RetryAfter: 1}, Fault{Method: "sendMessage", Status: 502}, Fault{Method: "sendMessage", Cut: true, Performed: true},
	)
	_, err := bot.Send(group, "bir")
	var flood tele.FloodError
	if !errors.As(err, &flood) || flood.RetryAfter != 1 {
		t.Fatalf("%v", err)
	}
	s.Forget() // as if the requested second had elapsed
	if _, err := bot.Send(group, "iki"); err == nil {
		t.Fatal("a 502 must be an error")
	}
	if _, err := bot.Send(group, "üç"); err == nil {
		t.Fatal("a cut connection must be an error")
	}
	if sent := s.Sent(); len(sent) != 1 || sent[0].Text != "üç" {
		t.Fatalf("%+v", sent)
	}
	s.SetDown(true)
	if _, err := bot.Send(group, "dört"); err == nil {
		t.Fatal("down")
	}
	s.NoFaults()
	if _, err := bot.Send(group, "beş"); err != nil {
		t.Fatal(err)
	}
}

func TestSendingBeforeRetryAfterIsReported(t *testing.T) {
	var reports book
	s, err := Start(&reports, "127.0.0.1:0", Forum())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.mu.Lock()
	s.floods[GroupID] = flood{since: time.Now().Add(-time.Second), until: time.Now().Add(time.Minute)}
	s.mu.Unlock()
	if _, err := client(t, s).Send(group, "hemen"); err == nil || len(reports.lines) != 1 {
		t.Fatalf("%v %q", err, reports.lines)
	}
}

func TestSlowAnswersEndWithTheServer(t *testing.T) {
	s := New(t, Forum())
	s.Script(Fault{Method: "getMe", Delay: time.Hour})
	failed := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/bot"+Token+"/getMe", nil)
		if err == nil {
			var response *http.Response
			if response, err = http.DefaultClient.Do(request); err == nil {
				err = response.Body.Close()
			}
		}
		failed <- err
	}()
	s.Wait(t, 5*time.Second, "the slow call", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.faults) == 0 })
	s.Close()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

func TestLimitsOfFiles(t *testing.T) {
	s := New(t, Forum())
	bot := client(t, s)
	s.Allow("file is too big")
	s.Allow("PHOTO_INVALID_DIMENSIONS")
	s.Allow("IMAGE_PROCESS_FAILED")
	big := s.Say(In{Document: []byte("x"), Size: 60 << 20, Name: "film.mov"})
	if _, err := bot.FileByID(big.Document.FileID); err == nil {
		t.Fatal("60 MB must not be given")
	}
	for name, data := range map[string][]byte{"strip": picture(t, 4000, 10), "no picture": []byte("<svg/>")} {
		if _, err := bot.Send(group, &tele.Photo{File: tele.FromReader(bytes.NewReader(data))}); err == nil {
			t.Errorf("%s must be refused", name)
		}
	}
}

func TestButtons(t *testing.T) {
	s := New(t, Forum())
	bot := client(t, s)
	markup := bot.NewMarkup()
	markup.Inline(markup.Row(markup.Data("Kapat", "close", "7")))
	m, err := bot.Send(group, "?", markup)
	if err != nil {
		t.Fatal(err)
	}
	query := s.Press(m.ID, "\fclose|7")
	if err := bot.Respond(&tele.Callback{ID: query}, &tele.CallbackResponse{Text: "tamam"}); err != nil {
		t.Fatal(err)
	}
	if _, got := poll(t, s, 0, 0); len(got) != 1 || got[0]["callback_query"] == nil {
		t.Fatalf("%v", got)
	}
}
