package push_test

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
	"sohbet/server/logging/loggingtest"
	"sohbet/server/push"
)

// env is a running service with a fake push service.
type env struct {
	*push.Service
	t     *testing.T
	fake  *service
	log   *loggingtest.Buffer
	shift atomic.Int64 // offset of the clock
	views sync.Map     // agents with a visible console
}

func newEnv(t *testing.T, store push.Store, fake *service, contact string) *env {
	t.Helper()
	w := &env{t: t, fake: fake, log: &loggingtest.Buffer{}}
	w.Service = push.New(push.Options{
		Store: store, Contact: contact, Viewing: func(agent int64) bool { _, found := w.views.Load(agent); return found }, Transport: fake.transport(), Retry: time.Millisecond, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: func() time.Time { return time.Now().Add(time.Duration(w.shift.Load())) },
	})
	key, err := w.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fake.key = key
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return w
}

func (w *env) subscribe(b browser, locale string) {
	w.t.Helper()
	if err := w.Subscribe(w.t.Context(), b.subscription(locale), "session-"+b.path, 0, time.Now().Add(time.Hour), "https://chat.example"); err != nil {
		w.t.Fatal(err)
	}
}

// as subscribes a browser of an agent.
func (w *env) as(agent models.AgentID, b browser) {
	w.t.Helper()
	if err := w.Subscribe(w.t.Context(), b.subscription("en"), "session-"+b.path, agent, time.Now().Add(time.Hour), "https://chat.example"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *env) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("it never held that %s; log: %s", what, w.log)
		}
	}
}

// passed waits until all earlier notices have been processed: it sends one of a separate thread.
func (w *env) passed(n *int) {
	w.t.Helper()
	*n++
	marker := "marker " + strings.Repeat("x", *n)
	w.until("the marker came", func() bool {
		// Repeatedly, because a full queue drops it. Only the first one per thread is sent.
		w.Notify(chat.Notice{ThreadID: marker, DisplayName: marker, Preview: "x", ContentType: "text"})
		for _, p := range w.fake.all() {
			if strings.HasPrefix(p.Title, marker+" ") {
				return true
			}
		}
		return false
	})
}

func TestPush(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		tr, en := newBrowser(t, "/push/a-tr"), newBrowser(t, "/push/b-en")
		w := newEnv(t, store, newService(t, tr, en), "")
		w.subscribe(tr, "tr")
		w.subscribe(en, "en")
		for range 3 {
			_, err := store.AppendWait(t.Context(), models.NewMessage{ThreadID: "thread-1", SenderType: models.Visitor, ContentText: "x", OpenThread: &models.NewThread{}})
			if err != nil {
				t.Fatal(err)
			}
		}
		w.subscribe(en, "en") // a reloaded page subscribes again
		w.Notify(chat.Notice{ThreadID: "thread-1", DisplayName: "Ayşe", Preview: "Merhaba 🙂", ContentType: "text"})
		w.until("both are notified", func() bool { return len(w.fake.all()) == 2 })
		all := w.fake.all()
		for i, want := range []pushed{
			{path: tr.path, Title: "Ayşe yazdı", Body: "Merhaba 🙂"}, {path: en.path, Title: "Ayşe wrote", Body: "Merhaba 🙂"},
		} {
			// The console's push-click.js computes the same value from the thread's id.
			const tag = "d4b478cca64b10c8433d385b815c3a70"
			want.topic, want.Tag, want.URL, want.Unread, want.contact = tag, tag, "/admin", 3, "https://chat.example"
			if all[i] != want {
				t.Errorf("%+v, want %+v", all[i], want)
			}
		}
		// More messages of the same thread cause no notification within half a minute; another thread does.
		n := 0
		w.Notify(chat.Notice{ThreadID: "thread-1", DisplayName: "Ayşe", Preview: "?", ContentType: "text"})
		w.passed(&n)
		count := func(title string) (n int) {
			for _, p := range w.fake.all() {
				if strings.HasPrefix(p.Title, title) {
					n++
				}
			}
			return n
		}
		if got := count("Ayşe"); got != 2 {
			t.Errorf("notified %d times", got)
		}
		w.shift.Add(int64(31 * time.Second))
		w.Notify(chat.Notice{ThreadID: "thread-1", DisplayName: "Ayşe", ContentType: "image"})
		w.until("they are notified again", func() bool { return count("Ayşe") == 4 })
		if last := w.fake.all(); !strings.Contains(last[len(last)-1].Body, "picture") || last[len(last)-1].topic != all[0].topic {
			t.Errorf("a picture of the same thread: %+v", last[len(last)-1])
		}
		if err := w.Unsubscribe(t.Context(), tr.subscription("").Endpoint); err != nil {
			t.Fatal(err)
		}
		before := w.fake.tried()
		w.Notify(chat.Notice{ThreadID: "thread-2", DisplayName: "Veli", Preview: "x", ContentType: "text"})
		w.until("one is notified", func() bool { return count("Veli") == 1 })
		w.passed(&n)
		if got := w.fake.tried() - before; got != 2 {
			t.Errorf("%d messages to one browser, the marker among them", got)
		}
	})
}

// asked counts how often a store is queried for subscriptions.
type asked struct {
	*models.Store
	times atomic.Int64
}

func (a *asked) PushSubscriptions(ctx context.Context, now time.Time) ([]models.PushSubscription, error) {
	a.times.Add(1)
	return a.Store.PushSubscriptions(ctx, now)
}

// Notify is called for every message of a visitor: without subscriptions, or after a recent notification of the thread, it must not
// query the database.
func TestMessagesThatAreForNobodyDoNotReachTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		counted := &asked{Store: store}
		b := newBrowser(t, "/push/a")
		w := newEnv(t, counted, newService(t, b), "mailto:ops@shop.example")
		notice := func() { w.Notify(chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text"}) }
		for range 100 {
			notice()
		}
		w.until("the first was dealt with", func() bool { return counted.times.Load() > 0 })
		w.subscribe(b, "tr")
		w.until("a new subscription receives later notifications", func() bool { notice(); return w.fake.tried() == 1 })
		for range 100 {
			notice()
		}
		w.shift.Add(int64(31 * time.Second))
		n := 0
		w.passed(&n)
		if got := counted.times.Load(); got > 5 {
			t.Errorf("the database was asked %d times", got)
		}
	})
}

// A notice for one agent reaches only that agent's browsers, while no console of that agent is visible, and does not silence those for others.
func TestReceivers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		owner, err := store.SetOwner(t.Context(), "admin", "", func(hash string) bool { return hash == "" })
		if err != nil {
			t.Fatal(err)
		}
		ada, err := store.AddAgent(t.Context(), models.Agent{Name: "Ada", Role: models.RoleAgent})
		if err != nil {
			t.Fatal(err)
		}
		older, owners, adas, phone := newBrowser(t, "/push/a"), newBrowser(t, "/push/b"), newBrowser(t, "/push/c"), newBrowser(t, "/push/d")
		w := newEnv(t, store, newService(t, older, owners, adas, phone), "")
		w.as(0, older) // of a version before there were agents
		w.as(models.AgentID(owner.ID), owners)
		w.as(models.AgentID(ada.ID), adas)
		w.as(models.AgentID(ada.ID), phone)
		var titles []string
		want := func(more ...string) {
			t.Helper()
			titles = append(titles, more...)
			slices.Sort(titles)
			w.until("they are notified", func() bool { return len(w.fake.all()) >= len(titles) })
			var got []string
			for _, p := range w.fake.all() {
				got = append(got, p.path[len("/push/"):]+": "+p.Title)
			}
			slices.Sort(got)
			if !slices.Equal(got, titles) {
				t.Errorf("pushed %q, want %q", got, titles)
			}
		}
		notice := chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text", By: "Bob"}
		notify := func(to int64, kind string) {
			notice.To, notice.Kind = models.AgentID(to), kind
			w.Notify(notice)
		}
		notify(0, "")
		want("a: Ayşe wrote", "b: Ayşe wrote", "c: Ayşe wrote", "d: Ayşe wrote")
		notify(ada.ID, chat.NotifiedMention)
		want("c: Bob mentions you: Ayşe", "d: Bob mentions you: Ayşe")
		notify(ada.ID, chat.NotifiedMention) // too soon
		notify(owner.ID, chat.NotifiedAssigned)
		want("a: Bob gives you Ayşe", "b: Bob gives you Ayşe")
		w.InView("socket", true) // of any agent
		w.views.Store(ada.ID, true)
		notice.ThreadID = "u"
		notify(ada.ID, "") // looks at a console
		notify(0, "")      // an agent looks at one
		notify(owner.ID, "")
		want("a: Ayşe wrote", "b: Ayşe wrote")
	})
}

func TestViewersAreNotPublished(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		b := newBrowser(t, "/push/a")
		w := newEnv(t, store, newService(t, b), "mailto:ops@shop.example")
		w.subscribe(b, "tr")
		notice := func(thread string) {
			w.Notify(chat.Notice{ThreadID: thread, DisplayName: thread, Preview: "x", ContentType: "text"})
		}
		quiet := func() bool { return w.fake.tried() == 0 }
		w.InView("socket-1", true)
		w.InView("socket-2", true)
		w.InView("socket-1", false)
		notice("t1")
		// Another process on the same database knows about that console until it disconnects.
		other := newEnv(t, store, w.fake, "")
		w.until("the other process knows", func() bool {
			found, err := store.ConsolesElsewhere(t.Context(), "neither", time.Now())
			return err == nil && found
		})
		other.Notify(chat.Notice{ThreadID: "t2", DisplayName: "t2", Preview: "x", ContentType: "text"})
		for _, one := range []*env{w, other} {
			one.until("the reason is logged", func() bool { return strings.Contains(one.log.String(), "a console is visible") })
		}
		w.InView("socket-2", false)
		w.until("the console has gone for the other process too", func() bool {
			found, err := store.ConsolesElsewhere(t.Context(), "neither", time.Now())
			return err == nil && !found
		})
		if !quiet() {
			t.Errorf("%+v", w.fake.all())
		}
		notice("t3")
		w.until("now they are notified", func() bool { return len(w.fake.all()) == 1 })
		if got := w.fake.all()[0]; got.Title != "t3 yazdı" || got.contact != "mailto:ops@shop.example" {
			t.Errorf("%+v", got)
		}
		// The record of a crashed process expires.
		if err := store.RecordConsoles(t.Context(), "killed", true, time.Now().Add(-2*models.ConsolesSeen)); err != nil {
			t.Fatal(err)
		}
		notice("t4")
		w.until("they are notified", func() bool { return len(w.fake.all()) == 2 })
	})
}

func TestPushServicesAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		gone, unknown, ill, moved, well := newBrowser(t, "/push/gone"), newBrowser(t, "/push/unknown"), newBrowser(t, "/push/ill"), newBrowser(t, "/push/moved"), newBrowser(t, "/push/well")
		fake := newService(t, gone, unknown, ill, moved, well)
		fake.answers = map[string][]int{gone.path: {http.StatusGone}, unknown.path: {http.StatusNotFound}, ill.path: {500, 502, 503}, moved.path: {http.StatusFound}}
		w := newEnv(t, store, fake, "")
		for _, b := range []browser{gone, unknown, ill, moved, well} {
			w.subscribe(b, "tr")
		}
		w.Notify(chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text"})
		left := func() (paths []string) {
			list, err := store.PushSubscriptions(t.Context(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				paths = append(paths, strings.TrimPrefix(p.Endpoint, "https://"+host+"/push/"))
			}
			return paths
		}
		w.until("those that are gone are forgotten", func() bool { return strings.Join(left(), " ") == "ill moved well" && len(fake.all()) == 1 })
		w.until("the failures are logged", func() bool { return strings.Count(w.log.String(), "responded with") == 2 })
		if fake.tried() != 7 {
			t.Errorf("%d tries: a redirection was followed, or not three made of what may pass and one of the rest", fake.tried())
		}
		fake.Close()
		w.shift.Add(int64(time.Minute))
		w.Notify(chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text"})
		w.until("the service's absence is logged", func() bool { return strings.Count(w.log.String(), "notification not delivered") >= 5 })
		if strings.Contains(w.log.String(), "/push/") || strings.Contains(w.log.String(), "Ayşe") {
			t.Errorf("the log names endpoints or people: %s", w.log)
		}
	})
}

// A message that a push service refuses temporarily is retried after the time that it specifies, or otherwise soon.
func TestTroubleThatPasses(t *testing.T) {
	for name, retryAfter := range map[string]string{
		"in seconds": "0", "at a time": time.Now().UTC().Format(http.TimeFormat), "not said": "", "nonsense": "soon", "too late": "3600",
	} {
		t.Run(name, func(t *testing.T) {
			busy := newBrowser(t, "/push/busy")
			fake := newService(t, busy)
			fake.answers[busy.path], fake.retryAfter = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, retryAfter
			w := newEnv(t, storetest.Open(t, "sqlite"), fake, "")
			w.subscribe(busy, "tr")
			w.Notify(chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text"})
			if name == "too late" {
				w.until("it is given up", func() bool { return strings.Contains(w.log.String(), "notification not delivered") })
				if fake.tried() != 1 {
					t.Errorf("%d tries", fake.tried())
				}
				return
			}
			w.until("the browser is notified", func() bool { return len(fake.all()) == 1 })
			if fake.tried() != 3 || strings.Contains(w.log.String(), "not delivered") {
				t.Errorf("%d tries; log: %s", fake.tried(), w.log)
			}
		})
	}
}

// While a message waits for a retry, others are sent; it is dropped if a console becomes visible meanwhile.
func TestWaitingHoldsNobodyUp(t *testing.T) {
	for where, look := range map[string]func(*env, *models.Store) error{
		"here": func(w *env, _ *models.Store) error { w.InView("socket", true); return nil },
		"at another process": func(w *env, store *models.Store) error {
			return store.RecordConsoles(w.t.Context(), "another", true, time.Now())
		},
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			busy, well := newBrowser(t, "/push/busy"), newBrowser(t, "/push/well")
			fake := newService(t, busy, well)
			fake.answers[busy.path], fake.retryAfter = []int{http.StatusTooManyRequests}, "2"
			store := storetest.Open(t, "sqlite")
			w := newEnv(t, store, fake, "")
			w.subscribe(busy, "tr")
			w.subscribe(well, "tr")
			w.Notify(chat.Notice{ThreadID: "t", DisplayName: "Ayşe", Preview: "x", ContentType: "text"})
			w.Notify(chat.Notice{ThreadID: "u", DisplayName: "Veli", Preview: "x", ContentType: "text"})
			w.until("others are sent", func() bool { return len(fake.all()) == 3 })
			if err := look(w, store); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2500 * time.Millisecond)
			if fake.tried() != 4 {
				t.Errorf("%d tries: the first message was sent although a console is visible", fake.tried())
			}
		})
	}
}

func TestSubscriptionsAreChecked(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	b := newBrowser(t, "/push/a")
	w := newEnv(t, store, newService(t, b), "")
	for field, change := range map[string][]func(*push.Subscription){
		"endpoint": {
			func(n *push.Subscription) { n.Endpoint = "" },
			func(n *push.Subscription) { n.Endpoint = "http://example.com/x" },
			func(n *push.Subscription) { n.Endpoint = "https://user@example.com/x" },
			func(n *push.Subscription) { n.Endpoint = "https://localhost/x" },
			func(n *push.Subscription) { n.Endpoint = "https://127.0.0.1/x" },
			func(n *push.Subscription) { n.Endpoint = "https://[::1]/x" },
			func(n *push.Subscription) { n.Endpoint = "https://[::ffff:10.0.0.1]/x" },
			func(n *push.Subscription) { n.Endpoint = "https://169.254.169.254/latest" },
			func(n *push.Subscription) { n.Endpoint = "https://100.64.0.1/x" },
			func(n *push.Subscription) { n.Endpoint = "https://example.com/" + strings.Repeat("x", 1024) },
		},
		"keys.p256dh": {
			func(n *push.Subscription) { n.Keys.P256DH = "" },
			func(n *push.Subscription) { n.Keys.P256DH = n.Keys.Auth },
			func(n *push.Subscription) { n.Keys.P256DH = "BA" + strings.Repeat("A", 85) }, // not a point on the curve
		},
		"keys.auth": {func(n *push.Subscription) { n.Keys.Auth = "AAAA" }, func(n *push.Subscription) { n.Keys.Auth = "?" }},
		"locale":    {func(n *push.Subscription) { n.Locale = strings.Repeat("x", 36) }},
	} {
		for i, do := range change {
			n := b.subscription("tr")
			do(&n)
			err := w.Subscribe(t.Context(), n, "s", 0, time.Now().Add(time.Hour), "")
			if public := chat.Public(err); err == nil || public.Code != apperr.CodeValidation || public.Field != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
	padded := b.subscription("tr")
	padded.Keys.Auth += "=="
	if err := w.Subscribe(t.Context(), padded, "s", 0, time.Now().Add(time.Hour), "https://chat.example"); err != nil {
		t.Errorf("padded keys: %v", err)
	}
}

// Whatever a name resolves to, only addresses on the public internet are dialled.
func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	fake := newService(t)
	log := &loggingtest.Buffer{}
	store := storetest.Open(t, "sqlite")
	s := push.New(push.Options{Store: store, Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()
	b := newBrowser(t, "/x")
	n := b.subscription("tr")
	// Bypasses the check at subscription, like a name that later resolves to this machine.
	err := store.SavePush(t.Context(), models.PushSubscription{SessionID: "s", ExpiresAt: time.Now().Add(time.Hour), PushAddress: models.PushAddress{
		Endpoint: fake.URL + "/x", P256DH: n.Keys.P256DH, Auth: n.Keys.Auth, Contact: "https://chat.example",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Notify(chat.Notice{ThreadID: "t", DisplayName: "x", Preview: "x"})
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "not on the public internet"); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log: %s", log)
		}
	}
	if fake.tried() != 0 {
		t.Error("it was reached")
	}
}

func TestKeyIsMadeOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		keys := make([]string, 6)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				var err error
				if keys[i], err = push.New(push.Options{Store: store, Now: time.Now}).Key(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, key := range keys {
			if raw, err := b64.DecodeString(key); err != nil || len(raw) != 65 || key != keys[0] {
				t.Errorf("%v", keys)
			}
		}
	})
}
