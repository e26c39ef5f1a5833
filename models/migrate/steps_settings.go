package migrate

// settingSteps add the settings that owners change while the server runs.
var settingSteps = []Step{{
	id: "settings_0001",
	statements: []string{
		`CREATE TABLE settings (
			id {id},
			name varchar(64) NOT NULL UNIQUE,
			value text NOT NULL,
			agent_id bigint,
			updated_at {time} NOT NULL
		)`,
		`INSERT INTO security_state (name) VALUES ('settings')`,
	},
}}
