// Command seed fills the configured database with conversations, for browser tests and for trying the console with many of them:
//
//	DATA_DIR=data go run ./assets/test/seed [-threads 10000] [-history 0]
//
// A running server is not notified, so restart it or reload its pages afterwards. Thread n, counted from 1, is named "Ad Soyad n" and was
// active n minutes ago, so thread 1 is the first in the list. Every second thread is answered, every fiftieth closed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"sohbet/models"
	"sohbet/server/config"
)

var (
	names = strings.Fields("Ayşe Mehmet İpek Çağrı Zeynep Ömer Şule Emre Gül Kerem Defne Barış Nazlı Ilgaz Selin Umut")
	homes = strings.Fields("Yılmaz Kaya Demir Çelik Şahin Öztürk Aydın Işık Doğan Güneş Arslan")
	asked = []string{
		"Merhaba, siparişim ne zaman kargoya verilir?", "Bu ürünün mavi rengi tekrar gelecek mi?", "Fatura adresimi değiştirebilir miyim?",
		"Kapıda ödeme var mı?", "İade için ne yapmam gerekiyor?", "36 numara hangi kalıba denk geliyor?", "Hediye paketi yapıyor musunuz?",
	}
	told = []string{"Hemen bakıyorum.", "Bugün kargoya veriyoruz, takip numarasını buradan yazarım.", "Tabii, yeni adresi yazmanız yeterli."}
)

func main() {
	threads := flag.Int("threads", 10_000, "conversations to make")
	history := flag.Int("history", 0, "messages that the first conversation has besides")
	flag.Parse()
	if err := run(context.Background(), *threads, *history); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, threads, history int) (err error) {
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	if _, err := cfg.Prepare(); err != nil {
		return err
	}
	store, err := models.Open(ctx, models.Options{URL: cfg.DatabaseURL, Keys: cfg.SecretKeys})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	add := func(id, from, text string, at time.Time, open *models.NewThread) {
		wait.Add(1)
		done := func(_ models.Appended, err error) {
			if err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
			wait.Done()
		}
		if err := store.Append(ctx, models.NewMessage{ThreadID: id, ContentText: text, SenderType: from, CreatedAt: at, OpenThread: open}, done); err != nil {
			done(models.Appended{}, err)
		}
	}
	now, closed, ids := time.Now(), models.StatusClosed, make([]string, threads)
	for i := range threads {
		n, id := i+1, uuid.NewString()
		ids[i] = id
		at := now.Add(-time.Duration(n) * time.Minute)
		name := fmt.Sprintf("%s %s %d", names[i%len(names)], homes[i%len(homes)], n)
		add(id, models.Visitor, asked[i%len(asked)], at.Add(-30*time.Second), &models.NewThread{
			ID: id, DisplayName: name, PhoneNumber: fmt.Sprintf("+90 532 %03d %04d", n%1000, n%10_000), PageURL: "https://example.com/", Locale: "tr",
		})
		if i == 0 {
			for k := range history {
				from := models.Visitor
				if k%3 == 2 {
					from = models.Admin
				}
				add(id, from, fmt.Sprintf("mesaj %d", k+1), at.Add(time.Duration(k-history)*time.Second/100), nil)
			}
		}
		if n%2 == 0 {
			add(id, models.Admin, told[i%len(told)], at, nil)
		}
	}
	wait.Wait()
	for n := 50; n <= threads; n += 50 {
		if _, err := store.UpdateThread(ctx, ids[n-1], models.ThreadPatch{Status: &closed}); err != nil {
			return err
		}
	}
	return failed
}
