package models

// uploadSteps make the record of uploaded files.
var uploadSteps = []step{
	{
		id: "0201_uploads",
		statements: []string{
			// used_at is when somebody last had a use for the file: when it came, and when a message was to name it.
			// deleted_at marks a file that is to be taken away; the row goes when the file is gone.
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
			// Whether any message names a file is asked for every file, and few messages name one.
			`CREATE INDEX idx_messages_file_url ON messages (file_url) WHERE file_url <> ''`,
		},
	},
	{
		id: "0202_upload_threads",
		statements: []string{
			// The thread whose message named the file first; '' = none has. The visitor of another thread may not name it.
			`ALTER TABLE uploads ADD COLUMN thread_id varchar(50) NOT NULL DEFAULT ''`,
		},
	},
}
