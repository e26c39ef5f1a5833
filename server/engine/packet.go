package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Engine.IO packet types, the first character of a text packet.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBinary  = 'b' // polling only: base64 of a binary message
)

// separator separates the packets of a polling payload.
const separator = 0x1e

var (
	errPacket = errors.New("engine: malformed packet")
	errText   = errors.New("engine: invalid UTF-8")
)

// headerRoom is the space that BeginText leaves for the frame's header, whose size depends on the length of the text.
const headerRoom = 10

// BeginText begins a message packet whose text is appended to the result; dst must be empty. [EndText] makes a frame of it.
func BeginText(dst []byte) []byte {
	var room [headerRoom + 1]byte
	room[headerRoom] = packetMessage
	return append(dst, room[:]...)
}

// EndText completes what BeginText began.
func EndText(text []byte) []byte {
	var room [headerRoom]byte
	header := appendHeader(room[:0], ws.OpText, len(text)-headerRoom)
	return text[headerRoom-copy(text[headerRoom-len(header):], header):]
}

// AppendText appends a message packet with a text payload to dst, as one unmasked websocket frame (RFC 6455 §5.2).
//
// [Conn.Queue] takes the concatenated frames of one or several packets, for every transport.
func AppendText(dst, payload []byte) []byte {
	dst = appendHeader(dst, ws.OpText, len(payload)+1)
	dst = append(dst, packetMessage)
	return append(dst, payload...)
}

// AppendBinary appends a message packet with a binary payload to dst, as one unmasked websocket frame.
func AppendBinary(dst, payload []byte) []byte {
	dst = appendHeader(dst, ws.OpBinary, len(payload))
	return append(dst, payload...)
}

// appendPacket appends a packet of a type other than message.
func appendPacket(dst []byte, typ byte, payload string) []byte {
	dst = appendHeader(dst, ws.OpText, len(payload)+1)
	dst = append(dst, typ)
	return append(dst, payload...)
}

func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	const fin = 0x80
	switch {
	case length < 126:
		return append(dst, fin|byte(op), byte(length))
	case length <= 0xffff:
		dst = append(dst, fin|byte(op), 126)
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	default:
		dst = append(dst, fin|byte(op), 127)
		return binary.BigEndian.AppendUint64(dst, uint64(length))
	}
}

// splitFrame splits the first frame off frames made by the functions above.
func splitFrame(frames []byte) (op ws.OpCode, payload, rest []byte) {
	op = ws.OpCode(frames[0] & 0x0f)
	length, head := int(frames[1]), 2
	switch length {
	case 126:
		length, head = int(binary.BigEndian.Uint16(frames[2:])), 4
	case 127:
		length, head = int(binary.BigEndian.Uint64(frames[2:])), 10
	}
	return op, frames[head : head+length], frames[head+length:]
}

// appendPayload appends frames to a polling payload: packets joined by separators, binary ones as "b" and base64.
func appendPayload(dst, frames []byte) []byte {
	for len(frames) > 0 {
		op, payload, rest := splitFrame(frames)
		if len(dst) > 0 {
			dst = append(dst, separator)
		}
		if op == ws.OpBinary {
			dst = append(dst, packetBinary)
			dst = base64.StdEncoding.AppendEncode(dst, payload)
		} else {
			dst = append(dst, payload...)
		}
		frames = rest
	}
	return dst
}

// packet is one decoded inbound packet.
type packet struct {
	typ    byte // packetMessage also for binary messages
	data   []byte
	binary bool
}

// decodeText decodes one text packet. The result aliases p.
func decodeText(p []byte) (packet, error) {
	if len(p) == 0 || p[0] < packetOpen || p[0] > packetNoop {
		return packet{}, errPacket
	}
	if !utf8.Valid(p) {
		return packet{}, errText
	}
	return packet{typ: p[0], data: p[1:]}, nil
}

// decodePayload calls fn for each packet of a polling payload, in order, until fn returns false. If any packet is malformed, fn is not
// called at all. The packets alias body.
func decodePayload(body []byte, fn func(packet) bool) error {
	for _, pass := range []func(packet) bool{func(packet) bool { return true }, fn} {
		for rest, more := body, true; more; {
			var raw []byte
			raw, rest, more = bytes.Cut(rest, []byte{separator})
			p, err := decodePolled(raw)
			if err != nil {
				return err
			}
			if !pass(p) {
				return nil
			}
		}
	}
	return nil
}

func decodePolled(raw []byte) (packet, error) {
	if len(raw) == 0 || raw[0] != packetBinary {
		return decodeText(raw)
	}
	data, err := base64.StdEncoding.AppendDecode(nil, raw[1:])
	if err != nil {
		return packet{}, errPacket
	}
	return packet{typ: packetMessage, data: data, binary: true}, nil
}
