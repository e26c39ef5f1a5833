package models_test

import (
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// plan returns the query plan of a statement.
func plan(t *testing.T, s *models.Store, st models.Statement) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if s.Dialect() == "postgres" {
		explain = "EXPLAIN "
	}
	rows, err := storetest.Raw(t, s).Query(explain+st.SQL, st.Args...)
	if err != nil {
		t.Fatalf("%s: %v", st.SQL, err)
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		var line string
		if s.Dialect() == "postgres" {
			err = rows.Scan(&line)
		} else {
			var id, parent, unused int
			err = rows.Scan(&id, &parent, &unused, &line)
		}
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// populate stores 20,000 threads, one in ten of them empty, and 60,000 messages, 20,000 of them in one thread.
func populate(t *testing.T, s *models.Store) {
	t.Helper()
	numbers := numbers(20_000)
	id := "'t' || i"
	at := "strftime('%Y-%m-%d %H:%M:%f+00:00', '2030-01-01', '+' || i || ' seconds')"
	if s.Dialect() == "postgres" {
		at = "timestamp '2030-01-01' + i * interval '1 second'"
	}
	for _, st := range []string{
		"INSERT INTO users (username) " + numbers + "SELECT " + id + " FROM n",
		"INSERT INTO threads (id, user_id, last_activity, last_message_at, message_count, waiting_since, assignee_id) " + numbers +
			"SELECT " + id + ", (SELECT min(id) FROM users) + i - 1, " + at + ", CASE WHEN i % 10 <> 0 THEN " + at + " END, CASE WHEN i % 10 = 0 THEN 0 ELSE 3 END, CASE WHEN i % 100 = 1 THEN " + at + " END, CASE WHEN i % 100 = 1 THEN NULL WHEN i % 100 = 2 THEN 7 ELSE 1 END FROM n",
		"INSERT INTO messages (thread_id, client_id, sender_type) " + numbers + "SELECT 't1', 'c' || i, 'visitor' FROM n",
		"INSERT INTO messages (thread_id, client_id, sender_type) " + numbers + "SELECT " + id + ", 'd' || i, 'visitor' FROM n",
		"INSERT INTO messages (thread_id, client_id, sender_type) " + numbers + "SELECT " + id + ", '', 'admin' FROM n",
		"INSERT INTO outbox (channel, thread_id, kind) " + numbers + "SELECT 'telegram', " + id + ", 'message' FROM n",
	} {
		if _, err := storetest.Raw(t, s).Exec(st); err != nil {
			t.Fatalf("%s: %v", st, err)
		}
	}
	if s.Dialect() == "postgres" { // like autovacuum; SQLite has to work without statistics
		if _, err := storetest.Raw(t, s).Exec("ANALYZE"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlansUseIndexes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		populate(t, s)
		messages := "idx_messages_thread_id (thread_id=? AND id>? AND id<?)" // both ends of the range
		if s.Dialect() == "postgres" {
			messages = "idx_messages_thread_id"
		}
		before := time.Date(2030, 1, 1, 3, 0, 0, 0, time.UTC)
		type check struct {
			st    models.Statement
			index string
		}
		checks := map[string]check{
			"thread list":           {models.ThreadsStatement(s, models.ThreadQuery{}), "idx_threads_listed"},
			"thread list, page 2":   {models.ThreadsStatement(s, models.ThreadQuery{Before: before, BeforeID: "t100"}), "idx_threads_listed"},
			"thread list, all":      {models.ThreadsStatement(s, models.ThreadQuery{IncludeEmpty: true}), "idx_threads_last_activity"},
			"waiting threads":       {models.ThreadsStatement(s, models.ThreadQuery{Status: models.StatusWaiting}), "idx_threads_waiting"},
			"an agent's threads":    {models.ThreadsStatement(s, models.ThreadQuery{Assignee: new(models.AgentID(7))}), "idx_threads_assigned"},
			"unassigned threads":    {models.ThreadsStatement(s, models.ThreadQuery{Assignee: new(models.AgentID)}), "idx_threads_unassigned"},
			"a person's threads":    {models.PersonStatement(s, models.Thread{UserID: 7, PhoneNumber: "5", Email: "a@b.example"}), "idx_threads_email_hash"},
			"newest messages":       {models.MessagesStatement(s, "t1", models.MessageQuery{}), messages},
			"older messages":        {models.MessagesStatement(s, "t1", models.MessageQuery{BeforeID: 10_000}), messages},
			"later messages":        {models.MessagesStatement(s, "t1", models.MessageQuery{AfterID: 10_000}), messages},
			"repeated client id":    {models.FirstStatement(s, "t1", "c77"), "idx_messages_client_id"},
			"messages to expire":    {models.ExpiredStatement(s, before.AddDate(-20, 0, 0)), "idx_messages_created_at"},
			"threads to remove":     {models.EmptyStatement(s, before, before), "idx_threads_empty"},
			"a thread's outbox":     {models.OutboxStatement(s, "t7"), "idx_outbox_thread_id"},
			"threads to be cleared": {models.Statement{SQL: "SELECT id FROM messages WHERE thread_id IN ('t2', 't3') LIMIT 2000"}, "idx_messages_thread_id"},
		}
		if s.Dialect() == "postgres" {
			checks["threads with new messages"] = check{models.Statement{SQL: "SELECT thread_id, MAX(id) FROM messages WHERE id > 59900 GROUP BY thread_id"}, "messages_pkey"}
		}
		for name, c := range checks {
			got := plan(t, s, c.st)
			// An index scan in order can stop at the LIMIT; a sort has to read everything.
			bad := strings.Contains(got, "Seq Scan") || strings.Contains(got, "TEMP B-TREE") || strings.Contains(got, "Sort")
			if !strings.Contains(got, c.index) || bad {
				t.Errorf("%s does not walk %s:\n%s", name, c.index, got)
			}
		}
	})
}
