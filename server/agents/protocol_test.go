package agents

import (
	"testing"

	"sohbet/docs/protocoltest"
)

func TestProtocolDescribesPresence(t *testing.T) {
	document := protocoltest.Read(t)
	for section, payload := range map[string]any{"Agent status object": Status{}, "Server event `agent_viewing`": viewing{}} {
		protocoltest.Compare(t, section, document.Section(t, section).Fields(), protocoltest.JSONFields(payload))
	}
	if !document.Section(t, "Server event `agents_presence`").Links("Agent status object") {
		t.Error("the section of agents_presence does not say what it holds")
	}
}
