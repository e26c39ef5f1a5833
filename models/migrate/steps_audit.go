package migrate

// auditSteps create the audit trail. It refers to agents and threads without foreign keys, because it outlives threads.
var auditSteps = []Step{{
	id: "audit_0001_entries",
	statements: []string{
		// actor and address are encrypted. Refusals that are alike share a row for each hour, by repetition; null for other rows.
		`CREATE TABLE audit_entries (
			id {id},
			event varchar(40) NOT NULL,
			outcome varchar(20) NOT NULL,
			agent_id bigint,
			actor text NOT NULL DEFAULT '',
			address text NOT NULL DEFAULT '',
			browser varchar(100) NOT NULL DEFAULT '',
			detail varchar(100) NOT NULL DEFAULT '',
			thread_id varchar(50) NOT NULL DEFAULT '',
			about_agent bigint,
			times bigint NOT NULL DEFAULT 1,
			repetition varchar(64) UNIQUE,
			created_at {time} NOT NULL DEFAULT {now},
			last_at {time} NOT NULL DEFAULT {now}
		)`,
		`CREATE INDEX idx_audit_entries_created_at ON audit_entries (created_at)`,
		`CREATE INDEX idx_audit_entries_agent ON audit_entries (agent_id, id) WHERE agent_id IS NOT NULL`,
		`CREATE INDEX idx_audit_entries_event ON audit_entries (event, id)`,
		// For the limit of rows per day.
		`CREATE INDEX idx_audit_entries_repeated ON audit_entries (created_at) WHERE repetition IS NOT NULL`,
	},
}}
