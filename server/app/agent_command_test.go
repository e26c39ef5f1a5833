package app

import (
	"strings"
	"testing"

	"sohbet/models/storetest"
)

// TestAgentCommand runs the commands on a stopped server, and while one runs.
func TestAgentCommand(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{testKey}
			t.Chdir(t.TempDir())
			t.Setenv("DATA_DIR", t.TempDir())
			t.Setenv("DATABASE_URL", o.URL)
			t.Setenv("SECRET_KEY", testKey)
			run := func(want string, args ...string) string {
				t.Helper()
				out, err := command(t, append([]string{"agent"}, args...)...)
				if err != nil || !strings.Contains(out, want) {
					t.Fatalf("%v: %q, %v", args, out, err)
				}
				return out
			}
			password := func(out string) string { return strings.TrimSpace(out[strings.LastIndex(out, ":")+1:]) }
			run("admin", "list")
			first := password(run("added", "add", "Ada", "--email", "ada@example.com"))
			for _, args := range [][]string{{"add", "ada"}, {"add", "a@b"}, {"add", "Eve", "--role", "boss"}, {"disable", "admin"}, {"reset", "nobody"}} {
				if out, err := command(t, append([]string{"agent"}, args...)...); err == nil {
					t.Errorf("%v: %q", args, out)
				}
			}
			s := open(t, storetest.Reopen(t, o))
			login := func(password string) int {
				return s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"ada@example.com","password":"`+password+`"}`).status
			}
			if status := login(first); status != 200 {
				t.Errorf("sign-in with the printed password: %d", status)
			}
			second := password(run("password", "reset", "ADA"))
			eventually(t, "the new password", func() bool { return login(second) == 200 })
			if status := login(first); status != 401 {
				t.Errorf("sign-in with the former password: %d", status)
			}
			run("done", "disable", "ada@example.com")
			eventually(t, "disabled", func() bool { return login(second) != 200 })
			if out := run("Ada", "list"); !strings.Contains(out, "disabled") || !strings.Contains(out, "owner") {
				t.Errorf("list: %s", out)
			}
			run("done", "enable", "2")
			eventually(t, "enabled", func() bool { return login(second) == 200 })
		})
	}
}
