package migrate

// signInSteps add what agents see of their sessions, and links that set a new password.
var signInSteps = []Step{{
	id: "sign_in_0001_sessions",
	statements: []string{
		// Null in rows of earlier versions, until the session is used again.
		`ALTER TABLE sessions ADD COLUMN agent_id bigint`,
		`ALTER TABLE sessions ADD COLUMN agent_generation bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE sessions ADD COLUMN started_at {time}`,
		`ALTER TABLE sessions ADD COLUMN details text NOT NULL DEFAULT ''`, // encrypted
	},
}, {
	id:         "sign_in_0002_password_links",
	statements: []string{`ALTER TABLE invitations ADD COLUMN agent_id bigint`},
}, {
	id: "sign_in_0003_passkeys",
	statements: []string{
		// handle is what authenticators store of the agent, random and the same for all passkeys of one. name and credential are encrypted.
		`CREATE TABLE passkeys (
			id {id},
			agent_id bigint NOT NULL,
			handle varchar(64) NOT NULL,
			name text NOT NULL DEFAULT '',
			credential text NOT NULL,
			sign_count bigint NOT NULL DEFAULT 0,
			created_at {time} NOT NULL DEFAULT {now},
			used_at {time}
		)`,
		`CREATE INDEX idx_passkeys_handle ON passkeys (handle)`,
		`CREATE INDEX idx_passkeys_agent ON passkeys (agent_id)`,
	},
}}
