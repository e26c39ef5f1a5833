package migrate

// securitySteps create blocks, session revocation and rate limits.
var securitySteps = []Step{
	{
		id: "security_1_blocks",
		statements: []string{
			// A keyed hash (see encryption.Hasher), never the address itself.
			`ALTER TABLE threads ADD COLUMN address_hash varchar(64) NOT NULL DEFAULT ''`,

			// No foreign key to threads: a block must survive the deletion of the conversation, which would otherwise unblock the
			// visitor.
			`CREATE TABLE blocks (
				thread_id varchar(50) PRIMARY KEY,
				address_hash varchar(64) NOT NULL DEFAULT '',
				address_until {time},
				created_at {time} NOT NULL DEFAULT {now}
			)`,

			// One row per kind of in-memory state: a new value means that it changed.
			`CREATE TABLE security_state (name varchar(50) PRIMARY KEY, value varchar(64) NOT NULL DEFAULT '')`,
			`INSERT INTO security_state (name) VALUES ('blocks')`,
		},
	},
	{
		id: "security_2_sessions",
		statements: []string{
			// Sessions live in cookies. This table holds only what a cookie cannot: when the session was last used, and that it was
			// ended. Rows are deleted when the session would have expired.
			`CREATE TABLE sessions (
				id varchar(64) PRIMARY KEY,
				seen_at {time} NOT NULL,
				ended_at {time},
				expires_at {time} NOT NULL
			)`,
			// generation is part of every session; changing it ends them all.
			`INSERT INTO security_state (name) VALUES ('sessions'), ('generation')`,

			// Shared rate limits: the time at which each will be fully refilled.
			`CREATE TABLE budgets (name varchar(100) PRIMARY KEY, whole_at {time} NOT NULL)`,
		},
	},
}
