package migrate

import "gorm.io/gorm"

// jobSteps create the durable jobs, and what hides deleted data until a job has deleted it.
var jobSteps = []Step{
	{
		id: "jobs_0001_jobs",
		statements: []string{
			// Messages up to this id are deleted: no query returns them, and a job deletes their rows. 0 = none.
			`ALTER TABLE threads ADD COLUMN cleared_until bigint NOT NULL DEFAULT 0`,
			// Set: the thread is deleted, and a job deletes its rows.
			`ALTER TABLE threads ADD COLUMN deleted_at {time}`,
			`CREATE INDEX idx_threads_hidden ON threads (id) WHERE cleared_until > 0`,

			`CREATE TABLE jobs (
				id {id},
				kind varchar(20) NOT NULL,
				subject varchar(50) NOT NULL DEFAULT '',
				state text NOT NULL DEFAULT '',
				done bigint NOT NULL DEFAULT 0,
				total bigint NOT NULL DEFAULT 0,
				error text NOT NULL DEFAULT '',
				owner varchar(50) NOT NULL DEFAULT '',
				lease_until {time},
				created_at {time} NOT NULL DEFAULT {now},
				updated_at {time} NOT NULL DEFAULT {now},
				finished_at {time}
			)`,
			`CREATE UNIQUE INDEX idx_jobs_unfinished ON jobs (kind, subject) WHERE finished_at IS NULL`,
		},
		rewrite: finishInterruptedDeletions,
	},
}

// finishInterruptedDeletions hides the messages that an interrupted deletion of an earlier version left, and makes jobs of the rest.
func finishInterruptedDeletions(tx *gorm.DB) error {
	const left = "message_count = 0 AND cleared_until = 0 AND EXISTS (SELECT 1 FROM messages m WHERE m.thread_id = threads.id)"
	for _, statement := range []string{
		"INSERT INTO jobs (kind, subject) SELECT 'clear', id FROM threads WHERE " + left,
		"UPDATE threads SET cleared_until = (SELECT max(m.id) FROM messages m WHERE m.thread_id = threads.id) WHERE " + left,
	} {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}
