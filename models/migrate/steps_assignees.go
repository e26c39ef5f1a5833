package migrate

// assigneeSteps add who answers a thread. Threads of earlier versions have no assignee.
var assigneeSteps = []Step{{
	id: "assignees_0001_threads",
	statements: []string{
		`ALTER TABLE threads ADD COLUMN assignee_id bigint`,
		`CREATE INDEX idx_threads_assigned ON threads (assignee_id, last_message_at, id) WHERE assignee_id IS NOT NULL`,
		`CREATE INDEX idx_threads_unassigned ON threads (last_message_at, id) WHERE assignee_id IS NULL AND status = 'active'`,
	},
}}
