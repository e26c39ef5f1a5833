package migrate

import (
	"slices"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// Every step is explicit SQL and never changes once released; a schema change is a new step at the end. Words in braces differ between
// the databases, see columnTypes.

// Step is one migration.
type Step struct {
	id         string
	statements []string
	rewrite    func(*gorm.DB) error // changes rows in a way that SQL alone cannot; runs after the statements; nil = nothing
}

// columnTypes maps the words in braces. SQLite compares times as text, so its default has the same format that both of its drivers
// write: 2006-01-02 15:04:05.999+00:00.
var columnTypes = map[string][]string{
	database.SQLite: {
		"{id}", "integer PRIMARY KEY AUTOINCREMENT",
		"{time}", "timestamp",
		"{now}", "(strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))",
		"{bytes}", "blob",
	},
	database.Postgres: {
		"{id}", "bigserial PRIMARY KEY",
		"{time}", "timestamp",
		"{now}", "(now() AT TIME ZONE 'utc')",
		"{bytes}", "bytea",
	},
}

// steps are all schema migrations. Each area has its list in a file of its own.
var steps = slices.Concat(storeSteps, telegramSteps, uploadSteps, securitySteps, threadSteps, encryptionSteps, outboxSteps, nameSteps, reactionSteps, leaseSteps, listSteps, jobSteps, revisionSteps, agentSteps, assigneeSteps, secondFactorSteps, agentPictureSteps,
	auditSteps, telegramAgentSteps, signInSteps, settingSteps, presenceSteps)

// storeSteps create the tables of users, threads and messages.
var storeSteps = []Step{
	{
		id: "0001_first_tables",
		statements: []string{
			`CREATE TABLE users (
				id {id},
				username varchar(50) NOT NULL UNIQUE,
				phone_number varchar(20) NOT NULL DEFAULT '',
				created_at {time} NOT NULL DEFAULT {now},
				last_seen {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_users_phone_number ON users (phone_number)`,

			// search_key holds the name and number in a form that compares the same in both databases.
			`CREATE TABLE threads (
				id varchar(50) PRIMARY KEY,
				user_id bigint NOT NULL REFERENCES users (id),
				created_at {time} NOT NULL DEFAULT {now},
				last_activity {time} NOT NULL DEFAULT {now},
				status varchar(20) NOT NULL DEFAULT 'active',
				display_name varchar(100) NOT NULL DEFAULT '',
				phone_number varchar(20) NOT NULL DEFAULT '',
				page_url varchar(2048) NOT NULL DEFAULT '',
				locale varchar(35) NOT NULL DEFAULT '',
				search_key text NOT NULL DEFAULT '',
				last_message_id bigint NOT NULL DEFAULT 0,
				last_message text NOT NULL DEFAULT '',
				last_sender varchar(20) NOT NULL DEFAULT '',
				last_type varchar(20) NOT NULL DEFAULT '',
				last_message_at {time},
				message_count bigint NOT NULL DEFAULT 0,
				unread_count bigint NOT NULL DEFAULT 0,
				visitor_read_id bigint NOT NULL DEFAULT 0,
				agent_read_id bigint NOT NULL DEFAULT 0
			)`,
			`CREATE INDEX idx_threads_user_id ON threads (user_id)`,
			`CREATE INDEX idx_threads_last_activity ON threads (last_activity, id)`,
			// The console's list. Partial, so that many visitors who never write do not slow it down.
			`CREATE INDEX idx_threads_listed ON threads (last_activity, id) WHERE message_count > 0`,

			`CREATE TABLE messages (
				id {id},
				thread_id varchar(50) NOT NULL REFERENCES threads (id),
				client_id varchar(64) NOT NULL DEFAULT '',
				content_text text NOT NULL DEFAULT '',
				content_type varchar(20) NOT NULL DEFAULT 'text',
				file_path varchar(255) NOT NULL DEFAULT '',
				file_url varchar(255) NOT NULL DEFAULT '',
				sender_type varchar(20) NOT NULL,
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_messages_thread_id ON messages (thread_id, id)`,
			`CREATE INDEX idx_messages_created_at ON messages (created_at)`,
			`CREATE UNIQUE INDEX idx_messages_client_id ON messages (thread_id, client_id) WHERE client_id <> ''`,

			`CREATE TABLE telegram_links (
				id {id},
				thread_id varchar(50) NOT NULL REFERENCES threads (id),
				telegram_message_id bigint NOT NULL DEFAULT 0,
				chat_id bigint NOT NULL DEFAULT 0,
				topic_id bigint NOT NULL DEFAULT 0,
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			`CREATE INDEX idx_telegram_links_thread_id ON telegram_links (thread_id)`,
			`CREATE INDEX idx_telegram_links_message ON telegram_links (chat_id, telegram_message_id)`,

			`CREATE TABLE one_time_codes (
				id {id},
				hash {bytes} NOT NULL,
				binding varchar(255) NOT NULL UNIQUE,
				expires_at {time} NOT NULL,
				tries integer NOT NULL DEFAULT 0,
				used_at {time},
				created_at {time} NOT NULL DEFAULT {now}
			)`,
		},
	},
	{
		id: "0002_empty_threads",
		statements: []string{
			// For the retention sweep, without scanning threads that have messages.
			`CREATE INDEX idx_threads_empty ON threads (last_activity, id) WHERE message_count = 0`,
		},
	},
	{
		id: "0003_write_checks",
		statements: []string{
			// One row that /health writes, to check that the database accepts writes.
			`CREATE TABLE write_checks (id integer PRIMARY KEY, checked_at {time} NOT NULL DEFAULT {now})`,
			`INSERT INTO write_checks (id) VALUES (1)`,
		},
	},
}
