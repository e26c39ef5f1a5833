package migrate

// telegramSteps create the tables of the Telegram bridge: outbox, received updates, topics.
var telegramSteps = []Step{
	{
		id: "telegram_0001_bridge",
		statements: []string{
			// Messages not yet sent to Telegram, in the order of ids within a thread. thread_id has no foreign key, which would cost a
			// lookup per row on the hot path; models deletes the rows.
			`CREATE TABLE telegram_outbox (
				id {id},
				thread_id varchar(50) NOT NULL,
				message_id bigint NOT NULL DEFAULT 0,
				kind varchar(20) NOT NULL,
				parts integer NOT NULL DEFAULT 0,
				tries integer NOT NULL DEFAULT 0,
				due_at {time},
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_telegram_outbox_thread_id ON telegram_outbox (thread_id)`,
			`CREATE INDEX idx_telegram_outbox_due ON telegram_outbox (due_at) WHERE due_at IS NOT NULL`,

			// Maps a thread to Telegram: a short id that anyone in the chat may see, and its topic.
			`CREATE TABLE telegram_threads (
				id {id},
				thread_id varchar(50) NOT NULL UNIQUE REFERENCES threads (id),
				short_id varchar(16) NOT NULL UNIQUE,
				chat_id bigint NOT NULL DEFAULT 0,
				topic_id bigint NOT NULL DEFAULT 0,
				topic_name varchar(128) NOT NULL DEFAULT '',
				topic_status varchar(20) NOT NULL DEFAULT '',
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_telegram_threads_topic ON telegram_threads (chat_id, topic_id)`,

			`CREATE TABLE telegram_updates (
				bot_id bigint NOT NULL,
				update_id bigint NOT NULL,
				payload text NOT NULL DEFAULT '',
				tries integer NOT NULL DEFAULT 0,
				received_at {time} NOT NULL DEFAULT {now},
				done_at {time},
				PRIMARY KEY (bot_id, update_id)
			)`,
			`CREATE INDEX idx_telegram_updates_pending ON telegram_updates (bot_id, update_id) WHERE done_at IS NULL`,

			// The chat message that corresponds to a Telegram message; 0 if it belongs to the thread as a whole.
			`ALTER TABLE telegram_links ADD COLUMN message_id bigint NOT NULL DEFAULT 0`,
			`CREATE INDEX idx_telegram_links_message_id ON telegram_links (message_id) WHERE message_id <> 0`,

			`ALTER TABLE messages ADD COLUMN edited_at {time}`,

			// Settings that the team changes at runtime, such as being away.
			`CREATE TABLE switches (
				id {id},
				name varchar(50) NOT NULL UNIQUE,
				position varchar(255) NOT NULL DEFAULT '',
				updated_at {time} NOT NULL DEFAULT {now}
			)`,
		},
	},
}
