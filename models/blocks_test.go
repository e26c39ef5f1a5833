package models_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

const visitorAddress = "203.0.113.77"

func open(t *testing.T, s *models.Store, id, address string) {
	t.Helper()
	if _, err := s.CreateThread(t.Context(), models.NewThread{ID: id, DisplayName: "Name of " + id, Address: address}); err != nil {
		t.Fatal(err)
	}
}

func block(t *testing.T, s *models.Store, id string, address bool) models.Block {
	t.Helper()
	b, err := s.Block(t.Context(), id, address, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkBlocked(t *testing.T, s *models.Store, when string, want map[[2]string]bool) {
	t.Helper()
	for who, blocked := range want {
		if got := s.Blocked(who[0], who[1]); got != blocked {
			t.Errorf("%s: thread %q from %q: blocked %v, want %v", when, who[0], who[1], got, blocked)
		}
	}
}

func TestBlocks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		open(t, s, "a", visitorAddress)
		open(t, s, "b", "")
		if _, err := s.Block(t.Context(), "missing", false, 0); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a thread that is not there: %v", err)
		}
		if b := block(t, s, "a", false); b.AddressHash != "" || b.DisplayName != "Name of a" {
			t.Errorf("%+v", b)
		}
		checkBlocked(t, s, "the visitor alone", map[[2]string]bool{{"a", ""}: true, {"b", ""}: false, {"", visitorAddress}: false})
		if b := block(t, s, "a", true); b.AddressHash == "" || b.AddressUntil == nil || time.Until(*b.AddressUntil) < 29*24*time.Hour {
			t.Errorf("%+v", b)
		}
		if b := block(t, s, "b", true); b.AddressHash != "" {
			t.Errorf("the block of a thread without an address has one: %+v", b)
		}
		checkBlocked(t, s, "with the address", map[[2]string]bool{{"c", visitorAddress}: true, {"c", "203.0.113.78"}: false, {"", ""}: false, {"b", ""}: true})
		list, err := s.Blocks(t.Context())
		if err != nil || len(list) != 2 || list[0].DisplayName+list[1].DisplayName != "Name of aName of b" && list[0].DisplayName+list[1].DisplayName != "Name of bName of a" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.DeleteThread(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		checkBlocked(t, s, "after the conversation was deleted", map[[2]string]bool{{"a", ""}: true, {"c", visitorAddress}: true})
		for range 2 {
			if err := s.Unblock(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		checkBlocked(t, s, "unblocked", map[[2]string]bool{{"a", ""}: false, {"c", visitorAddress}: false, {"b", ""}: true})
	})
}

func TestBlocksOutliveTheProcessAndReachOthers(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			one, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
			open(t, one, "a", visitorAddress)
			block(t, one, "a", true)
			deadline := time.Now().Add(30 * time.Second)
			for !other.Blocked("a", "") || !other.Blocked("", visitorAddress) {
				if time.Now().After(deadline) {
					t.Fatal("another process does not notice the block")
				}
				time.Sleep(20 * time.Millisecond)
			}
			o.Keys = []string{"another key of thirty-two letters", storetest.Key}
			checkBlocked(t, storetest.Reopen(t, o), "after a restart with a new key before the old one", map[[2]string]bool{
				{"a", ""}: true, {"", visitorAddress}: true, {"", "203.0.113.78"}: false,
			})
		})
	}
}

func TestAddressBlockEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		open(t, s, "a", visitorAddress)
		block(t, s, "a", true)
		past := time.Now().UTC().Add(-time.Minute).Truncate(time.Millisecond)
		query := "UPDATE blocks SET address_until = ?"
		if s.Dialect() == "postgres" {
			query = "UPDATE blocks SET address_until = $1"
		}
		if _, err := storetest.Raw(t, s).Exec(query, past); err != nil {
			t.Fatal(err)
		}
		open(t, s, "b", "")
		block(t, s, "b", false) // reloads the blocks from the table
		checkBlocked(t, s, "after its time", map[[2]string]bool{{"a", ""}: true, {"", visitorAddress}: false})
	})
}

func TestAddressesAreStoredAsHashes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		open(t, s, "a", visitorAddress)
		first := readThread(t, s, "a").AddressHash
		for _, address := range []string{visitorAddress, "", visitorAddress} {
			if err := s.RecordAddress(t.Context(), "a", address); err != nil {
				t.Fatal(err)
			}
		}
		if got := readThread(t, s, "a").AddressHash; got != first || len(got) != 32 || strings.Contains(got, "203") && strings.Contains(got, "113") {
			t.Errorf("noted as %q, then %q", first, got)
		}
		if err := s.RecordAddress(t.Context(), "a", "2001:db8::/64"); err != nil {
			t.Fatal(err)
		}
		if got := readThread(t, s, "a").AddressHash; got == first {
			t.Error("a new address is not noted")
		}
		if err := s.RecordAddress(t.Context(), "missing", visitorAddress); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a thread that is not there: %v", err)
		}
		// The address of a visitor whose message opens the thread is stored too.
		if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "w", ContentText: "x", SenderType: models.Visitor,
			OpenThread: &models.NewThread{ID: "w", Address: visitorAddress}}); err != nil {
			t.Fatal(err)
		}
		if got := readThread(t, s, "w").AddressHash; got != first {
			t.Errorf("opened by a message: %q", got)
		}
	})
}
