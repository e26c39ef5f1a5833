package app

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/process"
	"sohbet/models"
	"sohbet/models/storetest"
)

// A platform such as Railway provides a port and a database and the user a key, and those are all settings.
func TestThreeVariablesAreEnough(t *testing.T) {
	database := storetest.Options(t, "postgres")
	database.Keys = []string{testKey}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}

	s := &shop{t: t, Process: process.StartBare(t, t.TempDir(), "PORT="+port, "DATABASE_URL="+database.URL, "SECRET_KEY="+testKey)}
	if !strings.HasSuffix(s.Addr, ":"+port) {
		t.Errorf("it listens at %s and was given %s", s.Addr, port)
	}
	for path, want := range map[string]string{"/health/ready": "{", "/": "<title>", "/login": "<title>"} {
		if got := s.fetch("GET", path, "", ""); !strings.HasPrefix(got, path+" 200 OK") || !strings.Contains(got, want) {
			t.Errorf("want 200 and %q: %s", want, got)
		}
	}
	ali := s.visit("Ali")
	ali.say("merhaba")
	ali.emit("rejoin", map[string]string{"thread_id": ali.thread}) // acknowledged after the message, because events are handled in order
	raw.Take(t, ali.joined, "joined again")
	s.Stop()
	list, _, err := storetest.Reopen(t, database).Messages(t.Context(), ali.thread, models.MessageQuery{})
	if err != nil || len(list) != 1 || list[0].ContentText != "merhaba" {
		t.Errorf("stored: %+v, %v", list, err)
	}
}

func TestWithoutTheKeyOneLineSaysHowToMakeIt(t *testing.T) {
	dir := t.TempDir()
	code, said := process.Refused(t, dir, "PORT=0", "DATABASE_URL="+storetest.Options(t, "postgres").URL)
	if code != 1 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "sohbet: SECRET_KEY ") || !strings.Contains(said, "openssl rand -hex 32") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
