package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// Job is a long operation that is continued after a restart, by any process. A job has one unfinished row per kind and subject.
type Job struct {
	ID         int64
	Kind       string
	Subject    string // what it works on: the id of a thread, a number of days; "" = everything
	State      string // JSON: where to continue, and the result so far; interpreted by the kind
	Done       int64  // of Total; the unit depends on the kind
	Total      int64  // 0 = unknown
	Error      string // why it failed; contains no message text
	Owner      string // the process that works on it; "" = none
	LeaseUntil *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	FinishedAt *time.Time
	AgentID    AgentID // the agent who started it; 0 = the team, or the server

	Hidden Hidden `gorm:"-"` // what the deletion of one thread deleted, when it is started
}

// Kinds of jobs.
const (
	JobClear    = "clear"     // delete the rows of a cleared thread, the subject
	JobDelete   = "delete"    // delete the rows of a deleted thread
	JobClearAll = "clear_all" // delete the rows of all cleared and deleted threads
	JobPrune    = "prune"     // delete expired data; the subject is the retention in days, "" that of the settings
	JobCompact  = "compact"   // return free space to the system
	JobRekey    = "rekey"     // re-encrypt texts with the first key; the subject is [Store.KeyID]
)

// Unfinished reports whether there is work left. The zero Job has none.
func (j Job) Unfinished() bool { return j.ID != 0 && j.FinishedAt == nil }

const (
	// jobLease is how long a process may be silent before another continues its job. The work of a job may safely be done twice.
	jobLeaseSeconds = "5"
	// JobHeartbeat is how often the owner of a job stores its progress and renews its lease.
	JobHeartbeat = time.Second

	jobsKept   = 100 // finished ones
	jobsKeptIn = 7 * 24 * time.Hour
	maxJobText = 500 // runes of an error
)

// now is the database's clock.
func (s *Store) now() string {
	if s.db.Dialect == database.Postgres {
		return postgresNow
	}
	return "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')"
}

func (s *Store) leaseEnd() string {
	if s.db.Dialect == database.Postgres {
		return postgresNow + " + make_interval(secs => " + jobLeaseSeconds + ")"
	}
	return "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now', '+" + jobLeaseSeconds + " seconds')"
}

// addJob adds a job on behalf of an agent, if by is not 0, or returns the unfinished one of the same kind and subject.
func addJob(tx *gorm.DB, kind, subject string, total int64, by AgentID) (Job, error) {
	row := Job{Kind: kind, Subject: subject, Total: total, AgentID: by}
	unfinished := clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "finished_at IS NULL"}}}
	err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "kind"}, {Name: "subject"}}, TargetWhere: unfinished, DoNothing: true}).Create(&row).Error
	if err != nil {
		return Job{}, err
	}
	var found Job
	err = tx.Where("kind = ? AND subject = ? AND finished_at IS NULL", kind, subject).Take(&found).Error
	return found, err
}

// StartJob adds a job, or returns the unfinished one of the same kind and subject. Deletions are started by [Store.StartClear] and the
// others.
func (s *Store) StartJob(ctx context.Context, kind, subject string) (j Job, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		j, err = addJob(tx, kind, subject, 0, 0)
		return err
	})
	return s.started(j, "start a job", err)
}

// started is called after the transaction that started a job.
func (s *Store) started(j Job, doing string, err error) (Job, error) {
	if err != nil {
		return Job{}, s.failed(doing, err)
	}
	s.jobStarted()
	s.notify(TopicJobs)
	return j.utc(), nil
}

// OnJob registers a function that is called after a job was started, by this process or another. It must not block.
func (s *Store) OnJob(f func()) { s.onJob.Store(&f) }

func (s *Store) jobStarted() {
	if f := s.onJob.Load(); f != nil {
		(*f)()
	}
}

func (j Job) utc() Job {
	j.CreatedAt, j.UpdatedAt = j.CreatedAt.UTC(), j.UpdatedAt.UTC()
	return j
}

// Job returns a job, or ErrNotFound.
func (s *Store) Job(ctx context.Context, id int64) (j Job, err error) {
	err = database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("id = ?", id).Take(&j).Error })
	return j.utc(), s.failed("read a job", err)
}

// Jobs returns the unfinished jobs, oldest first.
func (s *Store) Jobs(ctx context.Context) (list []Job, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("finished_at IS NULL").Order("id").Limit(maxPage).Find(&list).Error
	})
	for i := range list {
		list[i] = list[i].utc()
	}
	return list, s.failed("read the jobs", err)
}

// ClaimJob gives the oldest unfinished job of some kinds that no process works on to an owner. It returns ErrNotFound if there is none.
// A server that has the files of an SQLite database for itself passes former, the beginning of the names of earlier servers, whose jobs it
// takes over at once.
func (s *Store) ClaimJob(ctx context.Context, owner, former string, kinds ...string) (Job, error) {
	return s.claim(ctx, owner, former, "kind IN ?", kinds)
}

// ClaimJobID gives an unfinished job that no process works on to an owner. It returns ErrNotFound if it is finished or taken.
func (s *Store) ClaimJobID(ctx context.Context, owner string, id int64) (Job, error) {
	return s.claim(ctx, owner, "", "id = ?", id)
}

// KeyID identifies the first key. It is the subject of a JobRekey, which only a process with that key continues.
func (s *Store) KeyID() string { return s.emails.Hash("rekey")[:32] }

func (s *Store) claim(ctx context.Context, owner, former, condition string, arg any) (Job, error) {
	var found []Job
	free := "finished_at IS NULL AND (kind <> ? OR subject = ?) AND (owner = '' OR owner = ? OR lease_until IS NULL OR lease_until < " + s.now()
	args := []any{JobRekey, s.KeyID(), owner}
	if former != "" && s.db.Dialect == database.SQLite {
		free, args = free+" OR owner LIKE ?", append(args, former+"%")
	}
	free += ")"
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		found = nil
		oldest := tx.Session(&gorm.Session{NewDB: true}).Model(&Job{}).Select("id").Where(condition, arg).Where(free, args...).Order("id").Limit(1)
		return tx.Model(&found).Clauses(clause.Returning{}).Where("id = (?)", oldest).Where(free, args...).
			Updates(map[string]any{"owner": owner, "lease_until": gorm.Expr(s.leaseEnd())}).Error
	})
	if err != nil {
		return Job{}, s.failed("claim a job", err)
	}
	if len(found) == 0 {
		return Job{}, ErrNotFound
	}
	return found[0].utc(), nil
}

// KeepJob stores the progress of a job and renews its lease. It returns ErrLeaseLost if another process continues it.
func (s *Store) KeepJob(ctx context.Context, j Job) error {
	return s.updateJob(ctx, j, map[string]any{"lease_until": gorm.Expr(s.leaseEnd())})
}

// ReleaseJob stores the progress of a job, which another process may continue at once.
func (s *Store) ReleaseJob(ctx context.Context, j Job) error {
	return s.updateJob(ctx, j, map[string]any{"owner": "", "lease_until": nil})
}

// EndJob stores the result of a finished job and deletes old ones.
func (s *Store) EndJob(ctx context.Context, j Job) error {
	if err := s.updateJob(ctx, j, map[string]any{"owner": "", "lease_until": nil, "finished_at": gorm.Expr(s.now())}); err != nil {
		return err
	}
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		kept := tx.Session(&gorm.Session{NewDB: true}).Model(&Job{}).Select("id").Where("finished_at IS NOT NULL").Order("id DESC").Limit(jobsKept)
		return tx.Where("finished_at IS NOT NULL AND (finished_at < ? OR id NOT IN (?))", stamp(s.Now().Add(-jobsKeptIn)), kept).Delete(&Job{}).Error
	})
	return s.failed("delete old jobs", err)
}

func (s *Store) updateJob(ctx context.Context, j Job, values map[string]any) error {
	values["state"], values["done"], values["total"], values["error"] = j.State, j.Done, j.Total, cut(j.Error, maxJobText)
	var ours int64
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		done := tx.Model(&Job{}).Where("id = ? AND owner = ? AND finished_at IS NULL", j.ID, j.Owner).Updates(values)
		ours = done.RowsAffected
		return done.Error
	})
	if err == nil && ours == 0 {
		return ErrLeaseLost
	}
	return s.failed("store the progress of a job", err)
}
