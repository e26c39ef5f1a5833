package durability

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
)

// visitor writes numbered messages with up to window of them unacked, and sends unacked messages again after a lost connection, as the
// pages do.
type visitor struct {
	window int
	name   string // display name; "Ada" if empty
	thread string
	socket *raw.Websocket
	sent   int           // messages sent at least once
	acked  []int64       // id in the ack of each message, in order
	stored []row         // messages returned by the server, in its order
	failed int           // refusals received
	heard  *atomic.Int64 // counts acks, if set
	late   time.Duration
}

type row struct {
	ID   int64  `json:"id"`
	Text string `json:"content_text"`
}

type answer struct {
	OK       bool   `json:"ok"`
	ThreadID string `json:"thread_id"`
	Message  row    `json:"message"`
	Messages []row  `json:"messages"`
	More     bool   `json:"has_more"`
	Error    struct{ Code string }
}

var ackForm = regexp.MustCompile(`(?s)^43(\d+)\[(.*)\]$`)

// errOffline means that the connection is lost.
var errOffline = errors.New("offline")

// next waits for an ack.
func (v *visitor) next() (id int, a answer, err error) {
	for {
		if err := v.socket.SetReadDeadline(time.Now().Add(raw.Patience)); err != nil {
			return 0, a, errors.Join(errOffline, err)
		}
		packet, err := v.socket.Next()
		if err != nil {
			return 0, a, errors.Join(errOffline, err)
		}
		found := ackForm.FindStringSubmatch(packet)
		if found == nil {
			continue // an event
		}
		if id, err = strconv.Atoi(found[1]); err != nil {
			return 0, a, err
		}
		return id, a, json.Unmarshal([]byte(found[2]), &a)
	}
}

func (v *visitor) emit(id int, event string, payload any) error {
	text, err := json.Marshal([]any{event, payload})
	if err != nil {
		return err
	}
	if _, err := v.socket.Write(raw.Text(fmt.Sprintf("42%d%s", id, text))); err != nil {
		return errors.Join(errOffline, err)
	}
	return nil
}

// ask emits an event and waits for its ack. There must be no other outstanding ack.
func (v *visitor) ask(event string, payload any) (answer, error) {
	const id = 1 << 30
	if err := v.emit(id, event, payload); err != nil {
		return answer{}, err
	}
	for {
		got, a, err := v.next()
		if err != nil || got == id {
			return a, err
		}
	}
}

// enter connects, and creates the thread, or rejoins it and reads its new messages.
func (v *visitor) enter(t *testing.T, addr string) error {
	host := &raw.Host{T: t, Addr: addr, Path: "/socket.io/"}
	var err error
	if v.socket, err = host.DialSocket(); err != nil {
		return errors.Join(errOffline, err)
	}
	if v.thread == "" {
		if v.name == "" {
			v.name = "Ada"
		}
		a, err := v.ask("join", map[string]string{"display_name": v.name})
		if err != nil {
			return err
		}
		v.thread = a.ThreadID
		return nil
	}
	if a, err := v.ask("rejoin", map[string]string{"thread_id": v.thread}); err != nil || !a.OK {
		return fmt.Errorf("rejoin: %+v %w", a, err)
	}
	return v.read()
}

// read fetches the messages since the last call, or all, newest page first, on the first call.
func (v *visitor) read() error {
	fresh, found := len(v.stored) == 0, v.stored
	for more := true; more; {
		query := map[string]any{"thread_id": v.thread, "limit": 100}
		switch {
		case len(found) == 0:
		case fresh:
			query["before_id"] = found[0].ID
		default:
			query["after_id"] = found[len(found)-1].ID
		}
		a, err := v.ask("history", query)
		if err != nil {
			return err // v.stored stays unchanged: after only the newest pages, the older ones would never be fetched
		}
		if !a.OK {
			return fmt.Errorf("history: %+v", a)
		}
		if more = a.More; fresh {
			found = append(a.Messages, found...)
		} else {
			found = append(found, a.Messages...)
		}
	}
	v.stored = found
	return nil
}

// check compares the stored messages with the acked ones.
func (v *visitor) check() error {
	for n, m := range v.stored {
		if m.Text != strconv.Itoa(n) {
			return fmt.Errorf("place %d holds %q: missing, doubled or out of order", n, m.Text)
		}
		if n > 0 && m.ID <= v.stored[n-1].ID {
			return fmt.Errorf("id %d after %d", m.ID, v.stored[n-1].ID)
		}
		if n < len(v.acked) && m.ID != v.acked[n] {
			return fmt.Errorf("message %d was acked as %d and is stored as %d", n, v.acked[n], m.ID)
		}
	}
	if len(v.stored) < len(v.acked) {
		return fmt.Errorf("%d messages were acked, %d are stored", len(v.acked), len(v.stored))
	}
	return nil
}

// talk writes until more returns false, and waits for the outstanding acks. It sends refused messages again.
func (v *visitor) talk(more func() bool) error {
	next := len(v.acked)
	last := time.Now()
	for {
		for next < len(v.acked)+v.window && (more() || next < v.sent) {
			n := strconv.Itoa(next)
			if err := v.emit(next, "message", map[string]string{"thread_id": v.thread, "text": n, "client_id": n}); err != nil {
				return err
			}
			next++
			v.sent = max(v.sent, next)
		}
		if len(v.acked) == next {
			return nil
		}
		id, a, err := v.next()
		if err != nil {
			return err
		}
		switch {
		case a.OK && id == len(v.acked):
			v.acked = append(v.acked, a.Message.ID)
			if v.heard != nil {
				v.heard.Add(1)
			}
			v.late = max(v.late, time.Since(last))
			last = time.Now()
		case !a.OK && a.Error.Code == "db_save_failed" && v.window == 1:
			v.failed++
			next = id
			time.Sleep(20 * time.Millisecond)
		default:
			return fmt.Errorf("message %d after %d acks: %+v", id, len(v.acked), a)
		}
	}
}
