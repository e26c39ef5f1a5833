package migrate

// encryptionSteps create columns for texts that used to be stored unencrypted. Package reencrypt encrypts and moves the old values.
var encryptionSteps = []Step{
	{
		id: "sealing_1_pages",
		statements: []string{
			`ALTER TABLE threads ADD COLUMN sealed_page_url text NOT NULL DEFAULT ''`,
			`ALTER TABLE threads ADD COLUMN sealed_page_title text NOT NULL DEFAULT ''`,
			`CREATE INDEX idx_threads_readable ON threads (id) WHERE page_url <> '' OR page_title <> ''`,
			// From here on folded holds a keyed hash of the folded shortcut, which is equally unique.
			`ALTER TABLE canned_replies ADD COLUMN sealed_shortcut text NOT NULL DEFAULT ''`,
		},
	},
}
