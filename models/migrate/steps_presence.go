package migrate

// presenceSteps make the away switch one of each agent, and store which agents a note mentions. Before there was one for the team; where there are
// no agents yet, the owner inherits it, see SetOwner in models.
var presenceSteps = []Step{{
	id: "presence_0001_away",
	statements: []string{
		`ALTER TABLE agents ADD COLUMN away_since {time}`,
		`UPDATE agents SET away_since = (SELECT updated_at FROM switches WHERE name = 'away' AND position = 'on')`,
		`DELETE FROM switches WHERE name = 'away' AND EXISTS (SELECT 1 FROM agents)`,
	},
}, {
	id: "presence_0002_mentions",
	statements: []string{
		`ALTER TABLE notes ADD COLUMN unseen_by varchar(255) NOT NULL DEFAULT ''`,
		`CREATE INDEX idx_notes_unseen ON notes (thread_id, id) WHERE unseen_by <> ''`,
	},
}}
