package models

// sealingSteps make the columns of texts that used to be stored readable. [Store.sealReadable] moves what stands in the old ones.
var sealingSteps = []step{
	{
		id: "sealing_1_pages",
		statements: []string{
			`ALTER TABLE threads ADD COLUMN sealed_page_url text NOT NULL DEFAULT ''`,
			`ALTER TABLE threads ADD COLUMN sealed_page_title text NOT NULL DEFAULT ''`,
			`CREATE INDEX idx_threads_readable ON threads (id) WHERE page_url <> '' OR page_title <> ''`,
			// folded holds a keyed hash from now on, which is as unique as the folded shortcut.
			`ALTER TABLE canned_replies ADD COLUMN sealed_shortcut text NOT NULL DEFAULT ''`,
		},
	},
}
