package migrate

// telegramAgentSteps bind Telegram accounts to agents.
var telegramAgentSteps = []Step{{
	id: "telegram_agents_0001_accounts",
	statements: []string{
		`ALTER TABLE agents ADD COLUMN telegram_id text NOT NULL DEFAULT ''`, // encrypted
		`ALTER TABLE messages ADD COLUMN reacted_by bigint`,
	},
}}
