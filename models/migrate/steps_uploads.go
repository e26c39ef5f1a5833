package migrate

// uploadSteps create the table of uploaded files.
var uploadSteps = []Step{
	{
		id: "0201_uploads",
		statements: []string{
			// used_at is the last use of the file: its upload, or a message about to refer to it. deleted_at marks a file to be
			// deleted; the row is removed once the file is gone.
			`CREATE TABLE uploads (
				id {id},
				url varchar(255) NOT NULL UNIQUE,
				kind varchar(20) NOT NULL,
				type varchar(100) NOT NULL,
				name varchar(255) NOT NULL DEFAULT '',
				size bigint NOT NULL DEFAULT 0,
				width integer NOT NULL DEFAULT 0,
				height integer NOT NULL DEFAULT 0,
				thumb_url varchar(255) NOT NULL DEFAULT '',
				place varchar(20) NOT NULL,
				path varchar(255) NOT NULL,
				created_at {time} NOT NULL DEFAULT {now},
				used_at {time} NOT NULL DEFAULT {now},
				deleted_at {time}
			)`,
			`CREATE INDEX idx_uploads_deleted_at ON uploads (deleted_at, id) WHERE deleted_at IS NOT NULL`,
			// The sweep checks for every file whether a message refers to it; few messages do.
			`CREATE INDEX idx_messages_file_url ON messages (file_url) WHERE file_url <> ''`,
		},
	},
	{
		id: "0202_upload_threads",
		statements: []string{
			// The thread whose message referred to the file first; '' = none yet. Visitors of other threads may not refer to it.
			`ALTER TABLE uploads ADD COLUMN thread_id varchar(50) NOT NULL DEFAULT ''`,
		},
	},
}
