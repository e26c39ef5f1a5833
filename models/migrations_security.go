package models

// securitySteps make blocks and what sessions need to be ended before their time.
var securitySteps = []step{
	{
		id: "security_1_blocks",
		statements: []string{
			// A keyed hash (see addressNames), never the address itself.
			`ALTER TABLE threads ADD COLUMN address_hash varchar(64) NOT NULL DEFAULT ''`,

			// No reference to threads: a block outlives the conversation, or deleting it would let the visitor in again.
			`CREATE TABLE blocks (
				thread_id varchar(50) PRIMARY KEY,
				address_hash varchar(64) NOT NULL DEFAULT '',
				address_until {time},
				created_at {time} NOT NULL DEFAULT {now}
			)`,

			// One row for each thing that processes keep in memory: a new value says that it changed.
			`CREATE TABLE security_state (name varchar(50) PRIMARY KEY, value varchar(64) NOT NULL DEFAULT '')`,
			`INSERT INTO security_state (name) VALUES ('blocks')`,
		},
	},
	{
		id: "security_2_sessions",
		statements: []string{
			// Sessions live in cookies. Here stands only what a cookie cannot know: when its session was last used, and that
			// it was ended. Rows go when the session would have expired.
			`CREATE TABLE sessions (
				id varchar(64) PRIMARY KEY,
				seen_at {time} NOT NULL,
				ended_at {time},
				expires_at {time} NOT NULL
			)`,
			// generation is what every session carries; a new one ends them all.
			`INSERT INTO security_state (name) VALUES ('sessions'), ('generation')`,

			// What is left to be guessed or asked for: the moment at which a budget will be whole again.
			`CREATE TABLE budgets (name varchar(100) PRIMARY KEY, whole_at {time} NOT NULL)`,
		},
	},
}
