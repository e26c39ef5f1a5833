package models_test

import (
	"testing"

	"sohbet/docs/protocoltest"
	"sohbet/models"
	"sohbet/models/storetest"
)

func TestProtocolListsTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
		if s.Dialect() == "postgres" {
			query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
		}
		document, tables := protocoltest.Read(t), names(t, storetest.Raw(t, s), query)
		protocoltest.Compare(t, "tables", document.Names("Table"), tables)
		for _, table := range tables {
			protocoltest.Compare(t, "columns of "+table, document.Section(t, "Table `"+table+"`").Fields(), columns(t, s, table))
		}
	})
}
