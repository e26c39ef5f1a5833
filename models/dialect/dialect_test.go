package dialect_test

import (
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/dialect"
	"sohbet/models/storetest"
)

// The statements of a batch find its threads by the primary key.
func TestThreadStatementsUseThePrimaryKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		db := storetest.Raw(t, s)
		explain, index := "EXPLAIN QUERY PLAN ", "sqlite_autoindex_threads_1"
		if s.Dialect() == "postgres" {
			explain, index = "EXPLAIN ", "threads_pkey"
			for _, statement := range []string{ // with few rows PostgreSQL would read the whole table
				"INSERT INTO users (username) VALUES ('u')",
				"INSERT INTO threads (id, user_id) SELECT 't' || i, (SELECT min(id) FROM users) FROM generate_series(1, 10000) AS n (i)", "ANALYZE threads",
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
		}
		ids := make([]string, 50)
		for i := range ids {
			ids[i] = "t" + strconv.Itoa(50*i+1)
		}
		for name, st := range dialect.ThreadStatements(s.Dialect(), ids) {
			rows, err := db.Query(explain+st.SQL, st.Args...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var plan strings.Builder
			for rows.Next() {
				var line string
				var skip int
				if s.Dialect() == "postgres" {
					err = rows.Scan(&line)
				} else {
					err = rows.Scan(&skip, &skip, &skip, &line)
				}
				if err != nil {
					t.Fatal(err)
				}
				plan.WriteString(line + "\n")
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if got := plan.String(); !strings.Contains(got, index) || strings.Contains(got, "Seq Scan") {
				t.Errorf("%s does not use %s:\n%s", name, index, got)
			}
		}
	})
}
