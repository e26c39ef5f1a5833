package app

import (
	"net/url"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// The doctor and /health find the same fault of PostgreSQL, and name the same cure.
func TestDoctorAgreesWithHealthOnPostgres(t *testing.T) {
	for code, reason := range map[string]string{
		"53100": "postgres_full", "25006": "postgres_readonly", "53200": "postgres_busy", "XX001": "postgres_damaged", "XX002": "postgres_damaged", "57P03": "postgres_stopped",
	} {
		o := storetest.Options(t, "postgres")
		o.Keys = []string{testKey}
		store := storetest.Reopen(t, o)
		s := open(t, store)
		for _, statement := range []string{
			`CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a fault' USING ERRCODE = '` + code + `'; END $$`,
			`CREATE TRIGGER fault BEFORE UPDATE ON write_checks FOR EACH ROW EXECUTE FUNCTION fault()`,
		} {
			if _, err := storetest.Raw(t, store).Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		s.agrees(t, o, "database", reason)
	}
}

// agrees expects a check of /health to fail for a reason, and the doctor to say the same, in both languages.
func (s *site) agrees(t *testing.T, o models.Options, check, reason string) {
	t.Helper()
	found := s.health(t).Checks[check]
	if found.Reason != reason || found.Cure == "" {
		t.Errorf("%s: /health says %+v", reason, found)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"DATA_DIR": s.dir, "DATABASE_URL": o.URL, "SECRET_KEY": testKey, "HOST": "127.0.0.1", "PORT": u.Port()} {
		t.Setenv(name, value)
	}
	t.Setenv("LC_ALL", "C.UTF-8")
	out, err := command(t, "doctor")
	if (err == nil) != (found.Status == "warning") || !strings.Contains(out, found.Detail) || strings.Count(out, found.Cure) != 1 {
		t.Errorf("%s: /health says %+v, the doctor %v\n%s", reason, found, err, out)
	}
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	if out, _ := command(t, "doctor"); strings.Contains(out, found.Detail) || strings.Contains(out, found.Cure) {
		t.Errorf("%s: not in Turkish: %s", reason, out)
	}
}

// Damage that no statement has met yet is found by reading everything.
func TestDoctorReadsAllData(t *testing.T) {
	o := storetest.Options(t, "postgres")
	o.Keys = []string{testKey}
	store := storetest.Reopen(t, o)
	seed(t, store, threadA, "Ada", "hello")
	if whole, err := store.Verify(t.Context()); err != nil || !whole {
		t.Fatalf("whole data: %v, %v", whole, err)
	}
	for _, statement := range []string{
		`CREATE FUNCTION damaged() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE EXCEPTION 'invalid page' USING ERRCODE = 'XX001'; END $$`,
		`ALTER TABLE notes RENAME TO notes_whole`,
		`CREATE VIEW notes AS SELECT 1 AS id, damaged() AS content_text`,
	} {
		if _, err := storetest.Raw(t, store).Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, store)
	if found := s.health(t).Checks["database"]; found.Status != "ok" {
		t.Fatalf("before anything has read it: %+v", found)
	}
	if _, err := store.Verify(t.Context()); err == nil {
		t.Fatal("damage is not found")
	}
	open(t, store).agrees(t, o, "database", "postgres_damaged")
}
