package models

import (
	"context"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
	"sohbet/models/names"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// threadRow adds the columns that only the database uses.
type threadRow struct {
	Thread    `gorm:"embedded"`
	SearchKey string
	EmailHash string
}

// TableName returns the name of the table.
func (threadRow) TableName() string { return "threads" }

func (t *Thread) toUTC() {
	t.CreatedAt, t.LastActivity = t.CreatedAt.UTC(), t.LastActivity.UTC()
	if t.LastMessageAt != nil {
		at := t.LastMessageAt.UTC()
		t.LastMessageAt = &at
	}
	if t.WaitingSince != nil {
		at := t.WaitingSince.UTC()
		t.WaitingSince = &at
	}
}

// CreateThread stores a new thread and its user. It returns ErrExists if the id is taken.
func (s *Store) CreateThread(ctx context.Context, n NewThread) (Thread, error) {
	if err := n.check(); err != nil {
		return Thread{}, err
	}
	res, err := s.writer.wait(ctx, &job{kind: openJob, open: n})
	return res.Thread, err
}

// Thread returns one thread, or ErrNotFound.
func (s *Store) Thread(ctx context.Context, id string) (Thread, error) {
	t, ok := s.cache.thread(id)
	if !ok {
		ticket := s.cache.ticket(id)
		err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("id = ?", id).Where(live).Take(&t).Error })
		if err != nil {
			return Thread{}, s.failed("read a thread", err)
		}
		s.decryptThread(&t)
		s.cache.keepThread(ticket, t)
	}
	if at := s.activity.last(id); at.After(t.LastActivity) {
		t.LastActivity = at
	}
	return t, nil
}

// UpdateThread applies the patch and returns the updated row.
func (s *Store) UpdateThread(ctx context.Context, id string, p ThreadPatch) (Thread, error) {
	if err := p.check(); err != nil {
		return Thread{}, err
	}
	emailHash := ""
	if p.Email != nil {
		emailHash = s.emails.Hash(strings.ToLower(*p.Email))
	}
	for _, text := range [...]**string{&p.Email, &p.RatingComment, &p.PageURL, &p.PageTitle} {
		if *text == nil {
			continue
		}
		sealed, err := s.cipher.Seal(**text)
		if err != nil {
			return Thread{}, err
		}
		*text = &sealed
	}
	var row threadRow
	var queued []OutboxRow
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		row, queued = threadRow{}, nil
		err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Where(live).Take(&row).Error
		if err != nil {
			return err
		}
		for _, f := range [...]struct{ to, from *string }{
			{&row.DisplayName, p.DisplayName}, {&row.PhoneNumber, p.PhoneNumber},
			{&row.PageURL, p.PageURL}, {&row.Locale, p.Locale},
			{&row.PageTitle, p.PageTitle}, {&row.Email, p.Email}, {&row.Browser, p.Browser}, {&row.Platform, p.Platform},
			{&row.RatingComment, p.RatingComment},
		} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		if p.Email != nil {
			row.EmailHash = emailHash
		}
		if p.Rating != nil {
			row.Rating = *p.Rating
		}
		if p.Status != nil {
			row.Thread = row.withStatus(*p.Status, p.StatusBy)
		}
		row.Rev++
		row.SearchKey = names.SearchKey(row.DisplayName, row.PhoneNumber)
		err = tx.Select("display_name", "phone_number", "sealed_page_url", "locale", "status", "search_key", "waiting_since",
			"sealed_page_title", "email", "email_hash", "browser", "platform", "rating", "rating_comment", "status_by", "rev").
			Where("id = ?", id).Updates(&row).Error
		if err != nil {
			return err
		}
		if s.telegram && (p.Status != nil || p.DisplayName != nil) {
			queued = []OutboxRow{{Channel: ChannelTelegram, ThreadID: id, Kind: OutboxTopic, CreatedAt: stamp(s.Now())}}
			if err := tx.Create(&queued).Error; err != nil {
				return err
			}
		}
		if p.PhoneNumber == nil {
			return nil
		}
		return tx.Model(&User{}).Where("id = ?", row.UserID).Update("phone_number", *p.PhoneNumber).Error
	})
	s.settled(id, err)
	if err != nil {
		return Thread{}, s.failed("update a thread", err)
	}
	if queued != nil {
		s.outboxQueued(queued...)
	}
	s.decryptThread(&row.Thread)
	return row.Thread, nil
}

// Threads lists threads, newest message first.
func (s *Store) Threads(ctx context.Context, q ThreadQuery) ([]Thread, error) {
	var list []Thread
	read := func() error {
		list = nil
		return database.Retry(ctx, func() error { return s.threadsQuery(ctx, q).Find(&list).Error })
	}
	err := read()
	if err == nil {
		var repaired bool
		if repaired, err = s.repairListed(ctx, list); repaired && err == nil {
			err = read()
		}
	}
	if err != nil {
		return nil, s.failed("list threads", err)
	}
	for i := range list {
		s.decryptThread(&list[i])
	}
	return list, nil
}

func (s *Store) threadsQuery(ctx context.Context, q ThreadQuery) *gorm.DB {
	db := s.db.Read.WithContext(ctx).Model(&Thread{})
	order := "last_activity"
	if q.IncludeEmpty {
		db = db.Where(live)
	} else {
		order = "last_message_at"
		db = db.Where("last_message_at IS NOT NULL") // the condition of the partial index idx_threads_listed
	}
	switch q.Status {
	case "":
	case StatusWaiting:
		db = db.Where("waiting_since IS NOT NULL") // the condition of the partial index idx_threads_waiting; closed threads have no waiting_since
	default:
		db = db.Where("status = ?", q.Status)
	}
	switch {
	case q.Assignee == nil:
	case *q.Assignee == 0:
		db = db.Where("assignee_id IS NULL AND status = 'active'") // the condition of the partial index idx_threads_unassigned
	default:
		db = db.Where("assignee_id = ?", *q.Assignee)
	}
	if words := names.SearchWords(q.Search); len(words) > 0 {
		condition, args := s.searchCondition(q.Search, words)
		db = db.Where(condition, args...)
	}
	switch before := q.Before.UTC(); {
	case q.Before.IsZero():
	case q.BeforeID == "":
		db = db.Where(order+" < ?", before)
	default:
		db = db.Where("("+order+", id) < (?, ?)", before, q.BeforeID)
	}
	return db.Order(order + " DESC, id DESC").Limit(pageSize(q.Limit))
}

// searchCondition matches threads whose search key contains all words or, for a query that looks like a phone number, its digits or the
// query itself. A word also matches a whole e-mail address: addresses are stored encrypted, and looked up by their keyed hash.
func (s *Store) searchCondition(query string, words []string) (condition string, args []any) {
	const holds = `search_key LIKE ? ESCAPE '\'`
	number := names.PhoneDigits(query)
	if number != "" {
		words = []string{strings.TrimSpace(query)}
	}
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = holds
		args = append(args, names.LikePattern(names.FoldAccents(word)))
		if strings.Contains(word, "@") {
			all[i] = "(" + holds + " OR email_hash IN ?)"
			args = append(args, s.emails.All(strings.ToLower(word)))
		}
	}
	condition = strings.Join(all, " AND ")
	if number != "" {
		condition += " OR " + holds
		args = append(args, names.LikePattern(number))
	}
	return condition, args
}

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// lockThreads locks thread rows in the order of their ids. Every transaction that locks several threads uses this order, which prevents
// deadlocks. LastMessage is returned as stored (encrypted). Deleted threads are left out.
func lockThreads(tx *gorm.DB, ids []string) ([]Thread, error) {
	var rows []Thread
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("id IN ?", ids).Where(live).Order("id").Find(&rows).Error
	return rows, err
}
