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
}}
