package telegram_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

func examine(t *testing.T, bot *telegramtest.Server, change func(*telegram.Doctor)) map[string]telegram.Finding {
	t.Helper()
	d := &telegram.Doctor{APIURL: bot.URL, Token: telegramtest.Token, ChatID: telegramtest.GroupID}
	if change != nil {
		change(d)
	}
	found := map[string]telegram.Finding{}
	turkish, english := d.Examine(t.Context(), "tr"), d.Examine(t.Context(), "en")
	if len(turkish) != len(english) {
		t.Fatalf("%d findings in Turkish, %d in English", len(turkish), len(english))
	}
	for i, f := range english {
		tr := turkish[i]
		if f.Check != tr.Check || f.Grade != tr.Grade || (f.Cure == "") != (tr.Cure == "") || f.Text == tr.Text {
			t.Errorf("Turkish %+v, English %+v", tr, f)
		}
		if (f.Grade == telegram.OK) != (f.Cure == "") || f.Text == "" || f.Title == "" || strings.Contains(f.Text+f.Cure+tr.Text+tr.Cure, "{}") {
			t.Errorf("half a finding: %+v, %+v", f, tr)
		}
		if strings.Contains(f.Text+f.Cure+tr.Text+tr.Cure, d.Token) {
			t.Error("the token is in the finding", f.Check)
		}
		found[f.Check] = f
	}
	return found
}

// never is the Conflict function of a process that polls without conflicts.
func never() time.Time { return time.Time{} }

func polls(d *telegram.Doctor) { d.Conflict = never }

func TestDoctor(t *testing.T) {
	const ok, warn, fail = telegram.OK, telegram.Warn, telegram.Fail
	group := telegramtest.Chat{ID: telegramtest.GroupID, Type: "supergroup", Title: "Mağaza"}
	reads := telegramtest.User{ID: 7, IsBot: true, FirstName: "Sohbet", Username: "sohbet_bot", ReadsAll: true}
	for _, c := range []struct {
		name    string
		options telegramtest.Options
		arrange func(*telegramtest.Server)
		doctor  func(*telegram.Doctor)
		want    map[string]telegram.Grade
		cure    map[string]string // a word of each fix
	}{
		{name: "a good forum", options: telegramtest.Forum(), doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok}},
		{name: "alone with the operator", options: telegramtest.Private(), doctor: func(d *telegram.Doctor) { polls(d); d.ChatID = telegramtest.OperatorID },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "updates": ok}},
		{name: "a group without topics where the bot receives all messages", options: telegramtest.Options{Chat: group, Bot: reads}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": warn, "privacy": ok, "updates": ok},
			cure: map[string]string{"forum": "Topics"}},
		{name: "no right to topics", options: telegramtest.Options{Admin: true}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": warn, "privacy": ok, "updates": ok},
			cure: map[string]string{"topics": "Manage Topics"}},
		{name: "no right to delete", options: telegramtest.Options{Admin: true, ManageTopics: true, NoDelete: true}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": warn, "privacy": ok, "updates": ok},
			cure: map[string]string{"topics": "Delete Messages"}},
		{name: "privacy mode", options: telegramtest.Options{}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": warn, "privacy": warn, "updates": ok},
			cure: map[string]string{"privacy": "/setprivacy"}},
		{name: "not in the chat", options: telegramtest.Options{Absent: true}, doctor: polls, arrange: func(s *telegramtest.Server) { s.Allow("chat not found") },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": fail, "updates": ok}, cure: map[string]string{"chat": "TELEGRAM_CHAT_ID"}},
		{name: "thrown out", options: telegramtest.Options{Kicked: true}, doctor: polls, arrange: func(s *telegramtest.Server) { s.Allow("kicked") },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": fail, "updates": ok}},
		{name: "became a supergroup", options: telegramtest.Options{Chat: telegramtest.Chat{ID: -4242, Type: "group", Title: "Mağaza"}, Admin: true, ManageTopics: true},
			arrange: func(s *telegramtest.Server) { s.Allow("upgraded"); s.Upgrade(-1004242424242, true) }, doctor: func(d *telegram.Doctor) { polls(d); d.ChatID = -4242 },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "number": warn, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok},
			cure: map[string]string{"number": "TELEGRAM_CHAT_ID=-1004242424242"}},
		{name: "may not write", options: telegramtest.Options{Admin: true, ManageTopics: true, Restricted: true}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": fail, "forum": ok, "topics": warn, "privacy": warn, "updates": ok}, cure: map[string]string{"chat": "administrator"}},
		{name: "messages are stuck", options: telegramtest.Forum(), doctor: func(d *telegram.Doctor) {
			polls(d)
			d.Trouble = func(context.Context) telegram.Problem { return telegram.Problem{Reason: telegram.ReasonBetween} }
		},
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok, "sending": fail}, cure: map[string]string{"sending": "proxy"}},
		{name: "a channel", options: telegramtest.Options{Chat: telegramtest.Chat{ID: telegramtest.GroupID, Type: "channel", Title: "Duyuru"}}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": fail, "updates": ok}},
		{name: "wrong token", options: telegramtest.Forum(), arrange: func(s *telegramtest.Server) { s.Allow("Unauthorized") },
			doctor: func(d *telegram.Doctor) { d.Token = "1234567:another-token-of-the-right-shape" },
			want:   map[string]telegram.Grade{"token": fail}, cure: map[string]string{"token": "@BotFather"}},
		{name: "unreachable", options: telegramtest.Forum(), arrange: func(s *telegramtest.Server) { s.SetDown(true) },
			want: map[string]telegram.Grade{"token": fail}, cure: map[string]string{"token": "TELEGRAM_API_URL"}},
		{name: "a gateway's page", options: telegramtest.Forum(), arrange: func(s *telegramtest.Server) { s.Script(telegramtest.Fault{Status: 502, Times: -1}) },
			want: map[string]telegram.Grade{"token": fail}},
		{name: "slow clock", options: telegramtest.Options{Admin: true, ManageTopics: true, ClockOffset: time.Minute}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": warn, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok},
			cure: map[string]string{"clock": "timedatectl"}},
		{name: "wild clock", options: telegramtest.Options{Admin: true, ManageTopics: true, ClockOffset: -time.Hour}, doctor: polls,
			want: map[string]telegram.Grade{"token": ok, "clock": fail, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok}},
		{name: "another program's webhook", options: telegramtest.Forum(), doctor: polls, arrange: func(s *telegramtest.Server) { s.Hook("https://elsewhere.example/secret-path") },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": fail},
			cure: map[string]string{"updates": "/revoke"}},
		{name: "informed of another poller", options: telegramtest.Forum(), doctor: func(d *telegram.Doctor) { d.Conflict = time.Now },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": fail}},
		{name: "our webhook is not set", options: telegramtest.Forum(), doctor: func(d *telegram.Doctor) { d.WebhookURL = "https://shop.example" },
			want: map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": fail}},
		{name: "our webhook", options: telegramtest.Forum(), doctor: func(d *telegram.Doctor) { d.WebhookURL = "https://shop.example" },
			arrange: func(s *telegramtest.Server) { s.Hook("https://shop.example/telegram/x") },
			want:    map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": ok}},
		{name: "a webhook elsewhere", options: telegramtest.Forum(), doctor: func(d *telegram.Doctor) { d.WebhookURL = "https://shop.example" },
			arrange: func(s *telegramtest.Server) { s.Hook("https://old.example/telegram/x") },
			want:    map[string]telegram.Grade{"token": ok, "clock": ok, "chat": ok, "forum": ok, "topics": ok, "privacy": ok, "updates": fail}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bot := telegramtest.New(t, c.options)
			if c.arrange != nil {
				c.arrange(bot)
			}
			found := examine(t, bot, c.doctor)
			got := map[string]telegram.Grade{}
			for check, f := range found {
				got[check] = f.Grade
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("found %v, wanted %v", got, c.want)
			}
			for check, word := range c.cure {
				if !strings.Contains(found[check].Cure, word) {
					t.Errorf("%s is cured by %q, wanted a word of %q", check, found[check].Cure, word)
				}
			}
			if strings.Contains(found["updates"].Text, "secret-path") {
				t.Error("the path of a webhook is shown")
			}
		})
	}
}

// If this process does not poll, the doctor polls long enough to detect another poller, and confirms no updates.
func TestDoctorDetectsAnotherPoller(t *testing.T) {
	bot := telegramtest.New(t, telegramtest.Forum())
	bot.Allow("terminated by other getUpdates")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			response, err := http.Get(bot.URL + "/bot" + telegramtest.Token + "/getUpdates?timeout=20")
			if err == nil {
				_ = response.Body.Close() // only its arrival matters
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	bot.Wait(t, 5*time.Second, "the other poller", bot.Polled)
	d := &telegram.Doctor{APIURL: bot.URL, Token: telegramtest.Token, ChatID: telegramtest.GroupID}
	findings := d.Examine(t.Context(), "en")
	last := findings[len(findings)-1]
	if last.Check != telegram.CheckUpdates || last.Grade != telegram.Warn {
		t.Errorf("%+v", last)
	}
	close(stop)
	bot.Say(telegramtest.In{Text: "hâlâ bekliyor"})
	<-stopped
	if bot.Pending() != 1 {
		t.Errorf("%d updates wait", bot.Pending())
	}
}
