package chat

import (
	"testing"

	"sohbet/docs/protocoltest"
)

// The payload of each event that this package publishes: a struct whose fields the event's section describes, or the heading of
// the object that it links to. That the document lists every event is tested in package handlers.
func TestProtocolDescribesPayloads(t *testing.T) {
	type object string
	const message object = "Message object"
	payloads := map[string]any{
		"message": message, "message_from_visitor": message, "message_from_admin": message, "message_from_telegram": message,
		"message_edited": message, "message_reaction": message, "new_message_notification": newMessage{}, "messages_deleted": deleted{},
		"thread_created": threadCreated{}, "thread_updated": object("Thread object"), "thread_status": threadStatus{}, "thread_cleared": cleared{},
		"thread_blocked": blocked{}, "typing": typing{}, "read": readMark{}, "delivered": deliveredMark{},
		"user_online": seen{}, "user_offline": object("Server event `user_online`"), "visitor_online": object("Server event `user_online`"),
		"team_status": object("Team object"), "resync": struct{}{}, "note_added": noteAdded{}, "note_deleted": noteDeleted{},
		"canned_changed": struct{}{}, "message_undelivered": object("Undelivered message object"),
		"channel_state": object("Channel state object"), "storage_status": storageStatus{}, "job": object("Job object"),
		"agent_typing": agentTyping{}, "agent_notified": notified{}, "notes_seen": notesSeen{},
		"agents_presence": nil, "agent_viewing": nil, // of package agents
		"joined": nil, "rejoin_failed": nil, "message_error": nil, "error": nil, // of package handlers
	}
	document := protocoltest.Read(t)
	for _, name := range document.Names("Server event") {
		payload, known := payloads[name]
		section := document.Section(t, "Server event `"+name+"`")
		switch payload := payload.(type) {
		case nil:
			if !known {
				t.Errorf("the payload of %s is not in this test", name)
			}
		case object:
			if !section.Links(string(payload)) {
				t.Errorf("the section of %s does not link to %s", name, payload)
			}
		case struct{}:
			if fields := section.Fields(); len(fields) > 0 {
				t.Errorf("%s has no fields, its section has %v", name, fields)
			}
		default:
			protocoltest.Compare(t, name, section.Fields(), protocoltest.JSONFields(payload))
		}
	}
}
