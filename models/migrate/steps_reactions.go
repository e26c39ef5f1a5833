package migrate

// reactionSteps add the team's emoji reaction to messages.
var reactionSteps = []Step{{
	id:         "reactions_0001_column",
	statements: []string{`ALTER TABLE messages ADD COLUMN reaction varchar(64) NOT NULL DEFAULT ''`},
}}
