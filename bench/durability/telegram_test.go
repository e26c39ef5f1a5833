package durability

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/bench/process"
	"sohbet/models/storetest"
	"sohbet/server/telegram/telegramtest"
)

// TestTelegram has visitors write while Telegram answers 429 and 5xx, cuts connections and becomes unreachable, and the server is
// killed twice while sending. Every message must arrive, in order, and only messages in flight during a kill may arrive twice.
// SOHBET_TELEGRAM_MESSAGES and SOHBET_TELEGRAM_OUTAGE (seconds) make it longer.
func TestTelegram(t *testing.T) {
	messages, outage := number(t, "SOHBET_TELEGRAM_MESSAGES", 200), number(t, "SOHBET_TELEGRAM_OUTAGE", 3)
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			d := &delivery{t: t, bot: telegramtest.New(t, telegramtest.Forum()), dir: t.TempDir()}
			if dialect == "postgres" {
				d.url = storetest.Options(t, dialect).URL
			}
			const visitors = 20
			for i := range visitors {
				d.visitors = append(d.visitors, &visitor{window: 4, name: fmt.Sprintf("Ziyaretçi %02d", i)})
			}
			each := messages / visitors
			d.bot.RandomFaults(1, telegramtest.Rates{TooMany: 0.01, Internal: 0.02, Cuts: 0.02, RetryAfter: 1})

			d.start()
			d.write(each / 3)
			d.kill(each / 3 * visitors / 2)

			d.start()
			d.bot.SetDown(true)
			away := time.Now()
			d.write(each * 2 / 3)
			late := d.late()
			if !strings.Contains(d.live(), `"alive"`) {
				t.Error("the server is not well while Telegram is away")
			}
			time.Sleep(time.Until(away.Add(time.Duration(outage) * time.Second))) // not a polling interval: the outage must have this length
			d.bot.SetDown(false)
			d.kill(each / 2 * visitors)

			d.start()
			d.write(each)
			d.wait(each * visitors)
			d.check(each)
			t.Logf("%d messages in %d threads on %s: 0 missing, 0 out of order, %d twice after %d kills, %d topics; %d calls, of which %d failed; longest wait for an ack while Telegram was away for %d s: %v",
				each*visitors, visitors, dialect, d.twice, len(d.kills), len(d.bot.Topics()), len(d.bot.Calls()), d.failures(), outage, late.Round(time.Millisecond))
		})
	}
}

// TestTelegramBacklog kills the server repeatedly while it sends the messages of a Telegram outage: none is lost or out of order, and
// at most one message per kill is sent twice. SOHBET_TELEGRAM_KILLS makes it longer.
func TestTelegramBacklog(t *testing.T) {
	kills := number(t, "SOHBET_TELEGRAM_KILLS", 3)
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			d := &delivery{t: t, bot: telegramtest.New(t, telegramtest.Forum()), dir: t.TempDir()}
			if dialect == "postgres" {
				d.url = storetest.Options(t, dialect).URL
			}
			visitors := 2*kills + 2
			for i := range visitors {
				d.visitors = append(d.visitors, &visitor{window: 4, name: fmt.Sprintf("Ziyaretçi %02d", i)})
			}
			const each = 10
			d.bot.SetDown(true)
			d.start()
			d.write(each)
			d.bot.SetDown(false)
			for range kills {
				d.killAfter(2)
				d.start()
			}
			d.wait(each * visitors)
			d.check(each)
			if d.calls > kills {
				t.Errorf("%d messages on Telegram came twice after %d kills", d.calls, kills)
			}
			t.Logf("%d messages in %d threads on %s, a backlog: 0 missing, 0 out of order, %d sent twice after %d kills, %d messages on Telegram",
				each*visitors, visitors, dialect, d.calls, kills, len(d.delivered()))
		})
	}
}

// TestTelegramSlow delays Telegram's responses: a client whose timeout is too short would send messages twice. SOHBET_TELEGRAM_SLOW
// sets the delay in seconds.
func TestTelegramSlow(t *testing.T) {
	slow := time.Duration(number(t, "SOHBET_TELEGRAM_SLOW", 3)) * time.Second
	d := &delivery{t: t, bot: telegramtest.New(t, telegramtest.Forum()), dir: t.TempDir(), visitors: []*visitor{{window: 4, name: "Ziyaretçi 00"}}}
	for _, method := range []string{"createForumTopic", "sendMessage", "getUpdates"} {
		d.bot.Script(telegramtest.Fault{Method: method, Delay: slow, Performed: method != "getUpdates"})
	}
	d.start()
	d.write(5)
	d.wait(5)
	d.check(5)
	if d.twice != 0 || len(d.bot.Topics()) != 1 {
		t.Errorf("%d messages came twice, %d topics", d.twice, len(d.bot.Topics()))
	}
}

// delivery is one test run.
type delivery struct {
	t        *testing.T
	bot      *telegramtest.Server
	dir, url string
	server   *process.Process
	visitors []*visitor
	kills    []time.Time
	twice    int // lines that were sent again
	calls    int // messages on Telegram, of one or more lines each, that were sent again
}

func (d *delivery) start() {
	d.t.Helper()
	d.server = start(d.t, d.dir, d.url, "TELEGRAM_API_URL="+d.bot.URL, "TELEGRAM_BOT_TOKEN="+telegramtest.Token,
		"TELEGRAM_CHAT_ID="+strconv.FormatInt(telegramtest.GroupID, 10), "RATE_LIMIT_TELEGRAM=off")
}

// write makes every visitor write until it has sent each messages.
func (d *delivery) write(each int) {
	d.t.Helper()
	var wg sync.WaitGroup
	for _, v := range d.visitors {
		v.late = 0
		wg.Go(func() {
			err := v.enter(d.t, d.server.Addr)
			if err == nil {
				err = v.talk(func() bool { return v.sent < each })
			}
			if err != nil {
				d.t.Errorf("%s: %v", v.name, err)
			}
			if v.socket != nil {
				_ = v.socket.Close() // the next round reconnects
			}
		})
	}
	wg.Wait()
	if d.t.Failed() {
		d.t.Fatal(d.server.Tail())
	}
}

func (d *delivery) late() (longest time.Duration) {
	for _, v := range d.visitors {
		longest = max(longest, v.late)
	}
	return longest
}

// line is one message of a visitor; a message on Telegram combines one or more lines.
type line struct {
	telegramtest.Call
	name, number, tag string
}

// delivered returns the calls with visitors' messages that Telegram accepted, in order.
func (d *delivery) delivered() []telegramtest.Call {
	var list []telegramtest.Call
	for _, c := range d.bot.Calls("sendMessage") {
		if c.Performed && strings.Contains(c.Params["text"], "Ziyaretçi") {
			list = append(list, c)
		}
	}
	return list
}

// lines returns the lines of all delivered calls.
func (d *delivery) lines() (list []line) {
	d.t.Helper()
	for _, c := range d.delivered() {
		found := wireText.FindStringSubmatch(c.Params["text"])
		if found == nil {
			d.t.Fatalf("message %d reads %q", c.MessageID, c.Params["text"])
		}
		for _, number := range strings.Split(found[2], "\n") {
			list = append(list, line{c, found[1], number, found[3]})
		}
	}
	return list
}

// wait waits until Telegram has n different lines.
func (d *delivery) wait(n int) {
	d.t.Helper()
	d.bot.Wait(d.t, 5*time.Minute, fmt.Sprintf("%d messages on Telegram", n), func() bool {
		different := map[string]bool{}
		for _, l := range d.lines() {
			different[l.name+" "+l.number] = true
		}
		return len(different) >= n
	})
}

// kill waits until Telegram has the given number of lines and then kills the server.
func (d *delivery) kill(after int) {
	d.t.Helper()
	d.wait(after)
	d.end()
}

// killAfter waits until Telegram has received more further messages and then kills the server.
func (d *delivery) killAfter(more int) {
	d.t.Helper()
	before := len(d.delivered())
	d.bot.Wait(d.t, 5*time.Minute, "more messages on Telegram", func() bool { return len(d.delivered()) >= before+more })
	d.end()
}

func (d *delivery) end() {
	d.server.Kill()
	d.kills = append(d.kills, time.Now())
	d.bot.Forget()
}

func (d *delivery) live() string {
	out, err := get("http://" + d.server.Addr + "/health/live")
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *delivery) failures() (n int) {
	for _, c := range d.bot.Calls() {
		if c.Fault != "" {
			n++
		}
	}
	return n
}

var wireText = regexp.MustCompile(`^💬 <b>(.*)</b>\n((?:\d+\n)*\d+)\n#thread:(\w+)$`)

// check compares the messages on Telegram with those that were written.
func (d *delivery) check(each int) {
	d.t.Helper()
	type place struct {
		number int
		at     time.Time
	}
	last, tags, topics := map[string]place{}, map[string]string{}, map[string]map[string]bool{}
	again := map[int]bool{}
	for _, c := range d.lines() {
		name, tag := c.name, c.tag
		number, err := strconv.Atoi(c.number)
		if err != nil {
			d.t.Fatal(err)
		}
		if tags[name] == "" {
			tags[name], topics[name], last[name] = tag, map[string]bool{}, place{number: -1}
		}
		if tags[name] != tag {
			d.t.Errorf("%s is %s and %s", name, tags[name], tag)
		}
		topics[name][c.Params["message_thread_id"]] = true
		switch before := last[name]; {
		case number == before.number+1:
		case number <= before.number && d.killed(before.at, c.At): // what was sent but not recorded is sent again, and so is what follows
			d.twice++
			again[c.MessageID] = true
		default:
			d.t.Errorf("%s: message %d after %d", name, number, before.number)
		}
		last[name] = place{number, c.At}
	}
	d.calls = len(again)
	for _, v := range d.visitors {
		if last[v.name].number != each-1 || len(v.acked) != each {
			d.t.Errorf("%s: %d acked, Telegram has %d", v.name, len(v.acked), last[v.name].number+1)
		}
		if len(topics[v.name]) != 1 || topics[v.name][""] {
			d.t.Errorf("%s is spread over %v", v.name, topics[v.name])
		}
	}
	if d.twice > len(d.kills)*len(d.visitors) {
		d.t.Errorf("%d messages came twice after %d kills of %d threads", d.twice, len(d.kills), len(d.visitors))
	}
	if n := len(d.bot.Topics()); n < len(d.visitors) || n > len(d.visitors)+len(d.kills) {
		d.t.Errorf("%d topics for %d threads", n, len(d.visitors))
	}
}

// killed reports whether the server was killed between two times.
func (d *delivery) killed(from, to time.Time) bool {
	for _, at := range d.kills {
		if from.Before(at) && at.Before(to) {
			return true
		}
	}
	return false
}
