package dialect

import "strings"

// Statement is a statement as sent to the database.
type Statement struct {
	SQL  string
	Args []any
}

// ThreadStatements returns the statements that select threads by id.
func ThreadStatements(database string, ids []string) map[string]Statement {
	all := make(map[string]Statement)
	if database == "sqlite" {
		for name, sql := range map[string]string{"lock": sqliteLock("id"), "update": sqliteUpdate, "update the session": sqliteUpdateSession} {
			all[name] = Statement{sql, make([]any, strings.Count(sql, "?"))}
		}
		return all
	}
	rows := make([]*Thread, len(ids))
	for i, id := range ids {
		rows[i] = &Thread{ID: id}
	}
	all["lock"] = Statement{postgresLock("id"), []any{ids}}
	all["update"] = Statement{postgresUpdate, postgresUpdateArgs(rows)}
	all["update the session"] = Statement{postgresUpdateSession, postgresUpdateSessionArgs(rows)}
	return all
}
