package migrate

// secondFactorSteps add authenticator apps for agents.
var secondFactorSteps = []Step{{
	id: "second_factor_0001_totp",
	statements: []string{
		`ALTER TABLE agents ADD COLUMN totp_secret text NOT NULL DEFAULT ''`, // encrypted
		`ALTER TABLE agents ADD COLUMN totp_step bigint NOT NULL DEFAULT 0`,
		`CREATE TABLE recovery_codes (
			id {id},
			agent_id bigint NOT NULL,
			code_hash varchar(64) NOT NULL
		)`,
		`CREATE INDEX idx_recovery_codes_agent ON recovery_codes (agent_id, code_hash)`,
	},
}}
