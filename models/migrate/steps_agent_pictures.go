package migrate

// agentPictureSteps add the pictures of agents.
var agentPictureSteps = []Step{{
	id: "agent_pictures_0001",
	statements: []string{
		`CREATE TABLE agent_pictures (
			id {id},
			agent_id bigint NOT NULL UNIQUE,
			data {bytes} NOT NULL
		)`,
	},
}}
