package migrate

// outboxSteps create the outbox that all outgoing channels share.
var outboxSteps = []Step{
	{
		id: "outbox_0001_channels",
		statements: []string{
			// Rows of one channel, destination and thread are sent in the order of their ids. thread_id has no foreign key, which would
			// cost a lookup per row on the hot path; models deletes the rows of a thread.
			`CREATE TABLE outbox (
				id {id},
				channel varchar(20) NOT NULL,
				destination varchar(255) NOT NULL DEFAULT '',
				thread_id varchar(50) NOT NULL DEFAULT '',
				message_id bigint NOT NULL DEFAULT 0,
				kind varchar(20) NOT NULL,
				parts integer NOT NULL DEFAULT 0,
				tries integer NOT NULL DEFAULT 0,
				due_at {time},
				set_aside_at {time},
				reason varchar(300) NOT NULL DEFAULT '',
				created_at {time} NOT NULL DEFAULT {now}
			)`,
			// Rows that an older version had not sent yet.
			`INSERT INTO outbox (channel, thread_id, message_id, kind, parts, created_at)
				SELECT 'telegram', thread_id, message_id, kind, parts, created_at FROM telegram_outbox ORDER BY id`,
			`DROP TABLE telegram_outbox`,
			`CREATE INDEX idx_outbox_thread_id ON outbox (thread_id, id)`,
			`CREATE INDEX idx_outbox_set_aside ON outbox (channel, thread_id) WHERE set_aside_at IS NOT NULL`,
		},
	},
}
