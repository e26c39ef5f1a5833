package migrate

// revisionSteps number the states of threads and messages, see models.Thread.Rev, and copy to threads which visitors are blocked.
var revisionSteps = []Step{{
	id: "revisions_0001_columns",
	statements: []string{
		`ALTER TABLE threads ADD COLUMN rev bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE threads ADD COLUMN blocked boolean NOT NULL DEFAULT false`,
		`ALTER TABLE messages ADD COLUMN rev bigint NOT NULL DEFAULT 0`,
		`UPDATE threads SET blocked = true WHERE id IN (SELECT thread_id FROM blocks)`,
	},
}}
