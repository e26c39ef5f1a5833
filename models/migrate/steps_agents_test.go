package migrate_test

import (
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// withoutAgents reverts a database to the version before there were agents.
var withoutAgents = []string{
	"DROP TABLE invitations", "DROP TABLE agents", "ALTER TABLE messages DROP COLUMN agent_id", "ALTER TABLE messages DROP COLUMN edited_by", "ALTER TABLE threads DROP COLUMN status_by",
	"ALTER TABLE notes DROP COLUMN agent_id", "ALTER TABLE blocks DROP COLUMN agent_id", "ALTER TABLE jobs DROP COLUMN agent_id",
	"ALTER TABLE push_subscriptions DROP COLUMN agent_id", "DELETE FROM security_state WHERE name = 'agents'",
	"DELETE FROM schema_migrations WHERE id LIKE 'agents_%'",
}

// The columns for who did something are added without rewriting tables, whose file would be another one afterwards, and without an index
// or a constraint, which would read them.
func TestAuthorsAreAddedInPlace(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			m := models.NewMessage{ThreadID: "a", SenderType: models.Visitor, ContentText: "hi", OpenThread: &models.NewThread{}}
			if _, err := s.AppendWait(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			for _, statement := range withoutAgents {
				if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			place := func(s *models.Store) (at string) {
				t.Helper()
				query := `SELECT group_concat(rootpage) FROM sqlite_schema WHERE tbl_name IN ('messages', 'threads')`
				if dialect == "postgres" {
					query = `SELECT string_agg(relfilenode::text, ',' ORDER BY relname) FROM pg_class
						WHERE relname LIKE '%messages%' OR relname LIKE '%threads%'`
				}
				if err := storetest.Raw(t, s).QueryRow(query).Scan(&at); err != nil || !strings.Contains(at, ",") {
					t.Fatalf("%q, %v", at, err)
				}
				return at
			}
			before := place(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = storetest.Reopen(t, o)
			if after := place(s); after != before {
				t.Errorf("stored at %s, before at %s", after, before)
			}
			if list, _, err := s.Messages(t.Context(), "a", models.MessageQuery{}); err != nil || len(list) != 1 || list[0].AgentID != 0 || list[0].EditedBy != 0 {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}
