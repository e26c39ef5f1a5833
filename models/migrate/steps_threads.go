package migrate

// threadSteps create what visitor pages and the console show besides messages.
var threadSteps = []Step{
	{
		id: "face_1_threads",
		statements: []string{
			// When the oldest visitor message not yet answered by the team was written.
			`ALTER TABLE threads ADD COLUMN waiting_since {time}`,
			// The newest message each side's client has received; whatever was read before this column existed had been received.
			`ALTER TABLE threads ADD COLUMN visitor_received_id bigint NOT NULL DEFAULT 0`,
			`ALTER TABLE threads ADD COLUMN agent_received_id bigint NOT NULL DEFAULT 0`,
			// How many sessions the visitor started (one more each time a closed thread is reopened), and the last of them that was
			// answered.
			`ALTER TABLE threads ADD COLUMN talks integer NOT NULL DEFAULT 0`,
			`ALTER TABLE threads ADD COLUMN answered_talk integer NOT NULL DEFAULT 0`,
			`ALTER TABLE threads ADD COLUMN rating integer NOT NULL DEFAULT 0`,
			`ALTER TABLE threads ADD COLUMN rating_comment text NOT NULL DEFAULT ''`, // encrypted, and so is email
			`ALTER TABLE threads ADD COLUMN email text NOT NULL DEFAULT ''`,
			`ALTER TABLE threads ADD COLUMN page_title varchar(300) NOT NULL DEFAULT ''`,
			`ALTER TABLE threads ADD COLUMN browser varchar(50) NOT NULL DEFAULT ''`,
			`ALTER TABLE threads ADD COLUMN platform varchar(50) NOT NULL DEFAULT ''`,
			`UPDATE threads SET visitor_received_id = visitor_read_id, agent_received_id = agent_read_id, talks = 1, answered_talk = 1
				WHERE message_count > 0`,
			`UPDATE threads SET waiting_since = (SELECT min(m.created_at) FROM messages m WHERE m.thread_id = threads.id AND m.sender_type = 'visitor'
					AND m.id > coalesce((SELECT max(a.id) FROM messages a WHERE a.thread_id = threads.id AND a.sender_type IN ('admin', 'telegram')), 0))
				WHERE message_count > 0 AND status = 'active' AND last_sender NOT IN ('admin', 'telegram')`,
			`CREATE INDEX idx_threads_waiting ON threads (last_activity, id) WHERE waiting_since IS NOT NULL`,

			// How long visitors waited for the first answer in a session. Not linked to a thread: only the median is used.
			`CREATE TABLE first_answers (
				id {id},
				waited_ms bigint NOT NULL,
				answered_at {time} NOT NULL DEFAULT {now}
			)`,
		},
	},
	{
		id: "face_2_notes",
		statements: []string{
			// Internal notes of the team; the text is encrypted.
			`CREATE TABLE notes (
				id {id},
				thread_id varchar(50) NOT NULL REFERENCES threads (id),
				client_id varchar(64) NOT NULL DEFAULT '',
				content_text text NOT NULL DEFAULT '',
				author varchar(100) NOT NULL DEFAULT '',
				after_id bigint NOT NULL DEFAULT 0,
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_notes_thread_id ON notes (thread_id, id)`,
			`CREATE INDEX idx_notes_created_at ON notes (created_at)`,
			`CREATE UNIQUE INDEX idx_notes_client_id ON notes (thread_id, client_id) WHERE client_id <> ''`,

			// Folding may lengthen a shortcut by a few runes.
			`CREATE TABLE canned_replies (
				id {id},
				shortcut varchar(32) NOT NULL,
				folded varchar(100) NOT NULL UNIQUE,
				content_text text NOT NULL DEFAULT '',
				updated_at {time} NOT NULL DEFAULT {now}
			)`,
		},
	},
	{
		id: "face_3_people",
		statements: []string{
			// A keyed hash (see encryption.Hasher), for finding the threads of an e-mail address.
			`ALTER TABLE threads ADD COLUMN email_hash varchar(64) NOT NULL DEFAULT ''`,
			`CREATE INDEX idx_threads_email_hash ON threads (email_hash) WHERE email_hash <> ''`,
		},
	},
	{
		id: "face_4_identity",
		statements: []string{
			// The user id on the embedding site. Users without one have exactly one thread each.
			`ALTER TABLE users ADD COLUMN external_id varchar(128)`,
			`CREATE UNIQUE INDEX idx_users_external_id ON users (external_id)`,
		},
	},
	{
		id: "face_5_push",
		statements: []string{
			// Push endpoints of agents' browsers. Rows are deleted with the session, so backups omit them: a restore ends all sessions.
			`CREATE TABLE push_subscriptions (
				id {id},
				endpoint_hash varchar(64) NOT NULL UNIQUE,
				sealed text NOT NULL,
				locale varchar(35) NOT NULL DEFAULT '',
				session_id varchar(64) NOT NULL,
				expires_at {time} NOT NULL,
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_push_subscriptions_session_id ON push_subscriptions (session_id)`,

			// Key pairs by which other services identify this server; the private key is encrypted.
			`CREATE TABLE server_keys (
				id {id},
				name varchar(50) NOT NULL UNIQUE,
				public_key text NOT NULL,
				private_seal text NOT NULL,
				created_at {time} NOT NULL DEFAULT {now}
			)`,

			// Processes that have a visible console connected; they renew their row.
			`CREATE TABLE consoles (process varchar(50) PRIMARY KEY, seen_at {time} NOT NULL)`,
		},
	},
}
