package migrate

// agentSteps create the accounts of the team, and columns for who did something. These are null for what the team did without an
// account: in earlier versions, and in the Telegram chat. They are nullable and have neither a default nor a foreign key, so that adding
// them takes no time on large tables.
var agentSteps = []Step{{
	id: "agents_0001_accounts",
	statements: []string{
		// email, password_hash, admin_username and admin_password_hash are encrypted.
		`CREATE TABLE agents (
			id {id},
			name varchar(100) NOT NULL,
			email text NOT NULL DEFAULT '',
			avatar_url varchar(255) NOT NULL DEFAULT '',
			locale varchar(35) NOT NULL DEFAULT '',
			role varchar(20) NOT NULL,
			password_hash text NOT NULL DEFAULT '',
			disabled_at {time},
			session_generation bigint NOT NULL DEFAULT 0,
			admin_username text NOT NULL DEFAULT '',
			admin_password_hash text NOT NULL DEFAULT '',
			created_at {time} NOT NULL DEFAULT {now}
		)`,
		`INSERT INTO security_state (name) VALUES ('agents')`,

		`ALTER TABLE messages ADD COLUMN agent_id bigint`,
		`ALTER TABLE messages ADD COLUMN edited_by bigint`,
		`ALTER TABLE threads ADD COLUMN status_by bigint`,
		`ALTER TABLE notes ADD COLUMN agent_id bigint`,
		`ALTER TABLE blocks ADD COLUMN agent_id bigint`,
		`ALTER TABLE jobs ADD COLUMN agent_id bigint`,
		`ALTER TABLE push_subscriptions ADD COLUMN agent_id bigint`,
	},
}, {
	id: "agents_0002_invitations",
	statements: []string{
		// Backups omit them: a restore must not make a used invitation valid again.
		`CREATE TABLE invitations (
			id {id},
			token_hash varchar(64) NOT NULL UNIQUE,
			role varchar(20) NOT NULL,
			email text NOT NULL DEFAULT '',
			invited_by bigint,
			created_at {time} NOT NULL DEFAULT {now},
			expires_at {time} NOT NULL
		)`,
	},
}}
