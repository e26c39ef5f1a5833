package app

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/server/telegram/telegramtest"
)

// TestTwentyAMinuteAreSharedFairly has twenty visitors post twenty messages each into a group limited to twenty a minute; meanwhile one
// more visitor posts a message, and an agent requests a sign-in code. The fake Telegram shortens its minute, and expected times scale
// with it; SOHBET_TELEGRAM_MINUTE (a duration) sets its length.
func TestTwentyAMinuteAreSharedFairly(t *testing.T) {
	t.Parallel()
	minute := 4 * time.Second
	if text := os.Getenv("SOHBET_TELEGRAM_MINUTE"); text != "" {
		var err error
		if minute, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	of := func(seconds float64) time.Duration { return time.Duration(seconds / 60 * float64(minute)) }
	const slack = 3 * time.Second // for a slow machine
	options := telegramtest.Forum()
	options.PerMinute, options.Minute = 20, minute
	s := openShop(t, options, "RATE_LIMIT_TELEGRAM=20/"+minute.String())
	const visitors, each = 20, 20
	var guests []*guest
	for v := range visitors {
		guests = append(guests, s.visit(fmt.Sprintf("Ziyaretçi %02d", v)))
	}
	late := s.visit("Geç kalan")
	began := time.Now()
	var writing sync.WaitGroup
	for v, g := range guests {
		writing.Go(func() {
			for i := range each {
				g.say(fmt.Sprintf("z%02d m%02d", v, i))
			}
		})
	}
	writing.Wait()

	lines := func() (list []string) {
		for _, m := range s.bot.Sent() {
			for line := range strings.Lines(m.Text) {
				if strings.HasPrefix(line, "z") {
					list = append(list, strings.TrimSpace(line))
				}
			}
		}
		return list
	}
	time.Sleep(of(20)) // so that the queue is long
	asked := time.Now()
	late.say("tek satır")
	answer := s.fetch("POST", "/request-otp", "{}", "")
	if took := time.Since(asked); !strings.Contains(answer, "200 OK") || took > of(5)+slack {
		t.Errorf("the sign-in code took %v: %s", took, answer)
	} else {
		t.Logf("the sign-in code took %v", took.Round(time.Millisecond))
	}
	s.waits("the late visitor's line", of(15)+slack, func() bool { return s.arrived("tek satır") })
	t.Logf("the late visitor's line took %v", time.Since(asked).Round(time.Millisecond))

	s.waits("all messages", of(4*60)+slack-time.Since(began), func() bool { return len(lines()) >= visitors*each })
	t.Logf("%d messages took %v of a minute of %v, and %d calls", visitors*each, time.Since(began).Round(time.Millisecond), minute, len(s.bot.Calls("sendMessage")))
	of20 := make(map[string][]string)
	for _, line := range lines() {
		who, what, _ := strings.Cut(line, " ")
		of20[who] = append(of20[who], what)
	}
	for v := range visitors {
		got := of20[fmt.Sprintf("z%02d", v)]
		if len(got) != each || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != each {
			t.Errorf("of visitor %d came %q", v, got)
		}
	}
	for _, c := range s.bot.Calls() {
		if c.Status == 429 {
			t.Errorf("%s was answered with 429", c.Method)
			break
		}
	}
	// Messages combined into one are replied to and found individually.
	last := s.sent("m19")
	s.bot.Say(telegramtest.In{Topic: last.Topic, ReplyTo: last.ID, Text: "okudum"})
	index := slices.IndexFunc(guests, func(g *guest) bool {
		return strings.HasPrefix(last.Text, fmt.Sprintf("💬 Ziyaretçi %02d\n", slices.Index(guests, g)))
	})
	if index < 0 {
		t.Fatalf("no visitor for %q", last.Text)
	}
	guests[index].listensTo("message", "okudum")
}

// TestManyRenamesDelayNoDelivery changes a visitor's name continuously.
func TestManyRenamesDelayNoDelivery(t *testing.T) {
	t.Parallel()
	const minute = 6 * time.Second
	options := telegramtest.Forum()
	options.PerMinute, options.Minute = 20, minute
	s := openShop(t, options, "RATE_LIMIT_TELEGRAM=20/"+minute.String())
	ali, veli := s.visit("Ali"), s.visit("Veli")
	ali.say("merhaba Ali")
	veli.say("merhaba Veli")
	s.sent("merhaba Ali")
	s.sent("merhaba Veli")
	for i := range 277 {
		ali.emit("join", map[string]string{"thread_id": ali.thread, "display_name": fmt.Sprintf("Ali %d", i)})
		<-ali.joined
	}
	began := time.Now()
	veli.say("yeni")
	s.waits("another visitor's message", minute/4+3*time.Second, func() bool { return s.arrived("yeni") })
	t.Logf("another visitor's message took %v", time.Since(began).Round(time.Millisecond))
	s.waits("the last name", time.Minute, func() bool {
		return slices.ContainsFunc(s.bot.Topics(), func(one telegramtest.Topic) bool { return one.Name == "Ali 276" })
	})
	if n := len(s.bot.Calls("editForumTopic")); n > 27 {
		t.Errorf("%d calls for 277 names", n)
	}
}
