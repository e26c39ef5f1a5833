package app

import (
	"fmt"
	"mime"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestExport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "AGENT_NAME", "Defne", "OPENING_HOURS", "Europe/Istanbul Mon-Sun 00:00-24:00")
		const name = "Ayşe / Yılmaz\u202e..txt"
		if _, err := store.CreateThread(t.Context(), models.NewThread{ID: threadA, DisplayName: name, PhoneNumber: "+90 555"}); err != nil {
			t.Fatal(err)
		}
		start := time.Date(2030, 1, 1, 20, 59, 0, 0, time.UTC)
		var ids []int64
		for i, m := range []models.NewMessage{
			{SenderType: "visitor", ContentText: "Merhaba,\nsiparişim nerede?\r\n23:59 Defne: forged"},
			{SenderType: "telegram", ContentText: "Yolda."},
			{SenderType: "admin", ContentType: "image", FileURL: "/uploads/images/x.jpg", ContentText: "işte"},
		} {
			m.ThreadID, m.CreatedAt = threadA, start.Add(time.Duration(i)*time.Minute)
			r, err := store.AppendWait(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.Message.ID)
			if i == 0 {
				if _, _, err := store.AddNote(t.Context(), models.Note{ThreadID: threadA, ContentText: "kargoya\nsor", Author: "ada", CreatedAt: m.CreatedAt}); err != nil {
					t.Fatal(err)
				}
			}
		}
		agent := s.agent(t)
		post := func(body string) reply {
			t.Helper()
			r := s.do(t, agent, "POST", "/api/threads/export", body, "Accept-Language", "tr")
			if r.status != 200 || r.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %s", r.status, r.header, r.body)
			}
			return r
		}
		r := post(`{"thread_id":"` + threadA + `","format":"text","notes":true}`)
		how, params, err := mime.ParseMediaType(r.header.Get("Content-Disposition"))
		if want := "Ayşe Yılmaz ..txt " + time.Now().In(time.FixedZone("", 3*3600)).Format("2006-01-02") + ".txt"; err != nil || how != "attachment" || params["filename"] != want {
			t.Errorf("%s %q, %v; want %q", how, params, err, want)
		}
		want := "\ufeffKonuşma dökümü: " + name + `
Telefon: +90 555
Saat dilimi: Europe/Istanbul

2030-01-01
23:59 ` + name + `: Merhaba,
      siparişim nerede?
      23:59 Defne: forged
23:59 Not (ada): kargoya
      sor

2030-01-02
00:00 Defne: Yolda.
00:01 Defne: [Görsel: /uploads/images/x.jpg]
      işte
`
		if r.body != want {
			t.Errorf("got\n%q\nwant\n%q", r.body, want)
		}
		if r := post(`{"thread_id":"` + threadA + `","format":"text","time_zone":"UTC"}`); strings.Contains(r.body, "kargoya") || !strings.Contains(r.body, "20:59 Ay") {
			t.Errorf("without notes, in UTC: %s", r.body)
		}
		var all struct {
			Thread   struct{ ID, DisplayName string }
			Messages []struct{ ID int64 }
			Notes    *[]struct{ Text string }
		}
		r = post(`{"thread_id":"` + threadA + `","format":"json","notes":true}`)
		if r.into(t, &all); all.Thread.ID != threadA || len(all.Messages) != 3 || all.Messages[2].ID != ids[2] || all.Notes == nil || (*all.Notes)[0].Text != "kargoya\nsor" {
			t.Errorf("%s", r.body)
		}
		all.Notes = nil
		if r = post(`{"thread_id":"` + threadA + `","format":"json"}`); strings.Contains(r.body, "kargoya") || strings.Contains(r.body, `"notes"`) {
			t.Errorf("notes that were not requested: %s", r.body)
		}
		if r := s.do(t, agent, "POST", "/api/threads/export", `{"thread_id":"`+threadA+`","format":"text","time_zone":"../etc/passwd"}`); r.status != 400 {
			t.Errorf("an invalid time zone: %d", r.status)
		}
		if log := s.log.String(); strings.Count(log, "thread_exported") != 4 {
			t.Error("the audit log does not say who exported conversations")
		}

		// A long thread is exported completely.
		if _, err := store.CreateThread(t.Context(), models.NewThread{ID: threadB, DisplayName: "Uzun"}); err != nil {
			t.Fatal(err)
		}
		const n = 1234
		left := make(chan error, n)
		for i := range n {
			m := models.NewMessage{ThreadID: threadB, SenderType: "visitor", ContentText: fmt.Sprintf("<%d>", i)}
			if err := store.Append(t.Context(), m, func(_ models.Appended, err error) { left <- err }); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			if err := <-left; err != nil {
				t.Fatal(err)
			}
		}
		r = post(`{"thread_id":"` + threadB + `","format":"json"}`)
		if r.into(t, &all); len(all.Messages) != n {
			t.Errorf("%d messages of %d", len(all.Messages), n)
		}
		r = post(`{"thread_id":"` + threadB + `","format":"text"}`)
		at := -1
		for i := range n {
			next := strings.Index(r.body, fmt.Sprintf(": <%d>\n", i))
			if next <= at {
				t.Fatalf("message %d stands at %d after %d", i, next, at)
			}
			at = next
		}
	})
}
