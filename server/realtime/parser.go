package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

// This file decodes and encodes packets of the Socket.IO protocol, revision 5 (https://socket.io/docs/v4/socket-io-protocol/). It differs from the
// library's parser in what a public server needs: arguments stay the JSON that was sent (key order, large numbers, no second decoding), a
// packet on which the library would panic is an error, and the number and size of attachments are limited.

const (
	packetConnect      = '0'
	packetDisconnect   = '1'
	packetEvent        = '2'
	packetAck          = '3'
	packetConnectError = '4'
	packetBinaryEvent  = '5'
	packetBinaryAck    = '6'
)

// packet is one Socket.IO packet.
type packet struct {
	typ         byte
	nsp         string
	id          uint64 // of the acknowledgement, if hasID
	hasID       bool
	attachments int // announced

	name string // of an event
	// args are those of an event or acknowledgement. Received ones are json.RawMessage that alias the message, or for a packet with attachments
	// decoded values.
	args  []any
	data  json.RawMessage // of a received CONNECT; nil if there is none
	value any             // data of a sent packet of another type
}

const (
	// maxAttachments is the maximum number of binary attachments that one packet may announce.
	maxAttachments = 10
	// maxAttachmentBytes is their maximum total size.
	maxAttachmentBytes = engine.DefaultMaxPayload
	// maxBinaryText is the maximum text length of a packet with attachments, in bytes. Its arguments have to be decoded to insert the
	// attachments, which takes about twenty times the memory.
	maxBinaryText = 64 << 10
	// maxArgs is the maximum number of arguments of an event or acknowledgement. Each uses forty bytes of memory, and only two on the
	// wire.
	maxArgs = 1000
	// maxNamespace is the maximum length of a namespace name that is processed, in bytes.
	maxNamespace = 128
)

var (
	errPacket      = errors.New("realtime: malformed packet")
	errAttachments = errors.New("realtime: illegal attachments")
)

// decoder decodes the messages of one connection. It is used only by the connection's reader.
type decoder struct {
	pending *pending // nil unless attachments are missing
	weight  int      // bytes of attachments, counted against the connection's budget until their packet has been handled
}

// pending is a packet whose attachments have not all arrived.
type pending struct {
	packet
	received []types.BufferInterface
}

// decode decodes a message into p, and reports whether that is complete.
func (d *decoder) decode(p *packet, message []byte, binary bool) (complete bool, err error) {
	if binary {
		return d.attach(p, message)
	}
	if d.pending != nil {
		return false, errAttachments
	}
	if err := p.decode(message); err != nil {
		return false, err
	}
	switch {
	case p.typ != packetBinaryEvent && p.typ != packetBinaryAck:
		return true, nil
	case p.attachments == 0:
		return true, p.reconstruct(nil)
	}
	d.pending = &pending{packet: *p}
	for i, arg := range p.args { // the message is valid only until this call returns
		d.pending.args[i] = json.RawMessage(bytes.Clone(arg.(json.RawMessage)))
	}
	return false, nil
}

func (d *decoder) attach(p *packet, data []byte) (complete bool, err error) {
	if d.pending == nil {
		return false, errAttachments
	}
	d.weight += len(data)
	if d.weight > maxAttachmentBytes {
		return false, errAttachments
	}
	d.pending.received = append(d.pending.received, types.NewBytesBuffer(bytes.Clone(data)))
	if len(d.pending.received) < d.pending.attachments {
		return false, nil
	}
	*p = d.pending.packet
	received := d.pending.received
	d.pending = nil
	return true, p.reconstruct(received)
}

// decode decodes the text of a packet: <type>[<attachments>-][<namespace>,][<id>][<JSON>].
func (p *packet) decode(text []byte) error {
	if len(text) == 0 {
		return errPacket
	}
	p.typ, p.nsp = text[0], "/"
	rest := text[1:]
	if p.typ == packetBinaryEvent || p.typ == packetBinaryAck {
		if len(text) > maxBinaryText {
			return errPacket
		}
		count, after, found := bytes.Cut(rest, []byte{'-'})
		n, err := strconv.ParseUint(string(count[:min(len(count), 4)]), 10, 16)
		if !found || err != nil || len(count) > 3 || n > maxAttachments {
			return errAttachments
		}
		p.attachments, rest = int(n), after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > maxNamespace {
			return errPacket
		}
		if rest = after; len(name) > 1 {
			p.nsp = string(name)
		}
	}
	digits := 0
	for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
		if err != nil {
			return errPacket
		}
		p.id, p.hasID, rest = id, true, rest[digits:]
	}
	return p.decodeData(rest)
}

func (p *packet) decodeData(data []byte) error {
	switch p.typ {
	case packetConnect:
		if len(data) == 0 {
			return nil
		}
		if data[0] != '{' || !json.Valid(data) {
			return errPacket
		}
		p.data = data
	case packetDisconnect:
		if len(data) != 0 {
			return errPacket
		}
	case packetEvent, packetBinaryEvent:
		args, ok := splitArray(make([]any, 0, 4), data)
		if !ok || len(args) == 0 {
			return errPacket
		}
		name, err := decodeName(args[0].(json.RawMessage))
		if err != nil || reserved(name) {
			return errPacket
		}
		p.name, p.args = name, args[1:]
	case packetAck, packetBinaryAck:
		args, ok := splitArray(nil, data)
		if !ok || !p.hasID {
			return errPacket
		}
		p.args = args
	default: // only the server sends CONNECT_ERROR
		return errPacket
	}
	return nil
}

// reserved reports whether a client must not send an event of that name, because client libraries use it.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting":
		return true
	}
	return false
}

func decodeName(raw json.RawMessage) (name string, err error) {
	if raw[0] != '"' {
		return "", errPacket
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	err = json.Unmarshal(raw, &name)
	return name, err
}

// reconstruct inserts the attachments at a binary packet's placeholders. The arguments become decoded values.
func (p *packet) reconstruct(attachments []types.BufferInterface) error {
	for i, arg := range p.args {
		d := json.NewDecoder(bytes.NewReader(arg.(json.RawMessage)))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return errPacket
		}
		v, err := place(v, attachments)
		if err != nil {
			return err
		}
		p.args[i] = v
	}
	return nil
}

func place(v any, attachments []types.BufferInterface) (any, error) {
	var err error
	switch v := v.(type) {
	case []any:
		for i := range v {
			if v[i], err = place(v[i], attachments); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if v["_placeholder"] == true {
			num, ok := v["num"].(json.Number)
			if !ok {
				return nil, errAttachments
			}
			n, err := num.Int64()
			if err != nil || n < 0 || n >= int64(len(attachments)) {
				return nil, errAttachments
			}
			return attachments[n], nil
		}
		for k := range v {
			if v[k], err = place(v[k], attachments); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// mustEncode encodes a packet, without data if that cannot be marshalled: this server does not send such values, and if it did, the client
// could handle that.
func mustEncode(p *packet) []byte {
	frames, err := encodeFrames(p)
	if err != nil {
		frames, _ = encodeFrames(&packet{typ: p.typ, nsp: p.nsp, id: p.id, hasID: p.hasID, name: p.name})
	}
	return frames
}

// encodeFrames encodes a packet and its attachments as frames for the engine.
func encodeFrames(p *packet) ([]byte, error) {
	var attachments []types.BufferInterface
	if hasBinary(p.args) {
		binary := *p
		binary.typ = packetBinaryEvent
		if p.typ == packetAck {
			binary.typ = packetBinaryAck
		}
		args, buffers := parser.DeconstructPacket(&parser.Packet{Data: p.args})
		binary.args, binary.attachments, attachments = args.Data.([]any), len(buffers), buffers
		p = &binary
	}
	size := 48 + len(p.nsp) + len(p.name)
	for _, arg := range p.args {
		if raw, ok := arg.(json.RawMessage); ok {
			size += len(raw) + 1
		}
	}
	text, err := p.append(engine.BeginText(make([]byte, 0, size)))
	if err != nil {
		return nil, err
	}
	frames := engine.EndText(text)
	for _, a := range attachments {
		frames = engine.AppendBinary(frames, a.Bytes())
	}
	return frames, nil
}

// hasBinary reports whether arguments contain attachments.
func hasBinary(args []any) bool {
	for _, arg := range args {
		switch arg.(type) {
		case json.RawMessage, string, int, bool, nil:
		default:
			if parser.HasBinary(arg) {
				return true
			}
		}
	}
	return false
}

// append appends the text of a packet.
func (p *packet) append(dst []byte) ([]byte, error) {
	dst = append(dst, p.typ)
	if p.typ == packetBinaryEvent || p.typ == packetBinaryAck {
		dst = strconv.AppendInt(dst, int64(p.attachments), 10)
		dst = append(dst, '-')
	}
	if p.nsp != "" && p.nsp != "/" {
		dst = append(dst, p.nsp...)
		dst = append(dst, ',')
	}
	if p.hasID {
		dst = strconv.AppendUint(dst, p.id, 10)
	}
	var err error
	switch p.typ {
	case packetEvent, packetBinaryEvent:
		if dst, err = appendJSON(append(dst, '['), p.name); err != nil {
			return dst, err
		}
		if len(p.args) > 0 {
			dst = append(dst, ',')
		}
		dst, err = appendElements(dst, p.args)
		dst = append(dst, ']')
	case packetAck, packetBinaryAck:
		dst, err = appendJSON(dst, p.args)
	default:
		if p.value != nil {
			dst, err = appendJSON(dst, p.value)
		}
	}
	return dst, err
}

func appendElements(dst []byte, args []any) ([]byte, error) {
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSON(dst, arg); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendJSON appends v as JSON.stringify would write it: without HTML escapes.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case json.RawMessage:
		return append(dst, v...), nil
	case []any:
		dst, err := appendElements(append(dst, '['), v)
		return append(dst, ']'), err
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	}
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
