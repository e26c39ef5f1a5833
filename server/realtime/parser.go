package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

// wireParser implements the Socket.IO protocol, revision 5 (https://socket.io/docs/v4/socket-io-protocol/), as a parser for the
// library. It differs from the library's own in what a public server needs: arguments stay the JSON that was sent (key order, large
// numbers, no second decoding), a packet on which the library would panic is an error, and the number and size of attachments are
// limited.
type wireParser struct{}

var _ parser.Parser = wireParser{}

func (wireParser) NewEncoder() parser.Encoder { return encoder{} }
func (wireParser) NewDecoder() parser.Decoder { return &decoder{} }

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

// decoder decodes the messages of one connection and blocks its reader until each packet has been handled. It is called only by the
// connection's reader.
type decoder struct {
	events.EventEmitter // nil: the library only listens for "decoded"

	decoded events.Listener

	// A binary packet whose attachments have not all arrived.
	pending     *parser.Packet
	attachments []types.BufferInterface
	weight      int // bytes of the attachments, counted against the connection's budget until the packet has been handled
}

func (d *decoder) On(event events.EventName, fns ...events.Listener) error {
	if event == "decoded" && len(fns) > 0 {
		d.decoded = fns[0]
	}
	return nil
}

// RemoveListener does not remove the listener: the connection has ended by then, and the field belongs to its reader.
func (d *decoder) RemoveListener(events.EventName, events.Listener) bool { return true }

// Destroy does nothing.
func (d *decoder) Destroy() {}

// Add decodes one *engine.Message. On an error the library closes the connection.
func (d *decoder) Add(data any) error {
	m, ok := data.(*engine.Message)
	if !ok {
		return errPacket
	}
	if m.Binary && !m.Conn.Hold(len(m.Data)) { // attachments are kept after this call
		return errAttachments
	}
	p, err := d.decode(m)
	if err != nil {
		m.Conn.CloseWith(engine.ClosedParse)
		return err
	}
	if p == nil {
		return nil
	}
	gateOf(m.Conn).hand(p, d.decoded)
	if d.weight > 0 {
		m.Conn.Release(d.weight)
		d.weight = 0
	}
	return nil
}

// decode returns the packet completed by m, or nil while attachments are missing.
func (d *decoder) decode(m *engine.Message) (*parser.Packet, error) {
	if m.Binary {
		return d.attach(m.Data)
	}
	if d.pending != nil {
		return nil, errAttachments
	}
	p, err := decodePacket(m.Data)
	if err != nil {
		return nil, err
	}
	if p.Attachments == nil {
		return p, nil
	}
	if *p.Attachments == 0 {
		return p, reconstruct(p, nil)
	}
	d.pending = p
	return nil, nil
}

func (d *decoder) attach(data []byte) (*parser.Packet, error) {
	if d.pending == nil {
		return nil, errAttachments
	}
	d.weight += len(data)
	if d.weight > maxAttachmentBytes {
		return nil, errAttachments
	}
	d.attachments = append(d.attachments, types.NewBytesBuffer(data))
	if uint64(len(d.attachments)) < *d.pending.Attachments {
		return nil, nil
	}
	p, attachments := d.pending, d.attachments
	d.pending, d.attachments = nil, nil
	return p, reconstruct(p, attachments)
}

// decodePacket decodes the text of a packet: <type>[<attachments>-][<namespace>,][<id>][<JSON>].
//
// The data of an EVENT or ACK is a []any. Its elements are json.RawMessage, except that the first of an EVENT is the name (string). The
// data of a CONNECT is a json.RawMessage object or nil.
func decodePacket(text []byte) (*parser.Packet, error) {
	if len(text) == 0 || !parser.PacketType(text[0]).Valid() {
		return nil, errPacket
	}
	p := &parser.Packet{Type: parser.PacketType(text[0]), Nsp: "/"}
	rest := text[1:]
	if p.Type == parser.BINARY_EVENT || p.Type == parser.BINARY_ACK {
		if len(text) > maxBinaryText {
			return nil, errPacket
		}
		count, after, found := bytes.Cut(rest, []byte{'-'})
		n, err := strconv.ParseUint(string(count[:min(len(count), 4)]), 10, 16)
		if !found || err != nil || len(count) > 3 || n > maxAttachments {
			return nil, errAttachments
		}
		p.Attachments, rest = &n, after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > maxNamespace {
			return nil, errPacket
		}
		p.Nsp, rest = string(name), after
	}
	digits := 0
	for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
		if err != nil {
			return nil, errPacket
		}
		p.Id, rest = &id, rest[digits:]
	}
	return p, decodeData(p, rest)
}

func decodeData(p *parser.Packet, data []byte) error {
	switch p.Type {
	case parser.CONNECT:
		if len(data) == 0 {
			return nil
		}
		if data[0] != '{' || !json.Valid(data) {
			return errPacket
		}
		p.Data = json.RawMessage(data)
	case parser.DISCONNECT:
		if len(data) != 0 {
			return errPacket
		}
	case parser.EVENT, parser.BINARY_EVENT:
		args, err := decodeArgs(data)
		if err != nil || len(args) == 0 {
			return errPacket
		}
		name, err := decodeName(args[0].(json.RawMessage))
		if err != nil || parser.RESERVED_EVENTS.Has(name) {
			return errPacket
		}
		args[0] = name
		p.Data = args
	case parser.ACK, parser.BINARY_ACK:
		args, err := decodeArgs(data)
		if err != nil || p.Id == nil {
			return errPacket
		}
		p.Data = args
	default: // only the server sends CONNECT_ERROR
		return errPacket
	}
	return nil
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

// decodeArgs splits a JSON array into its elements without decoding them. It is on the hot path of every event: once the text is known
// to be valid JSON, finding the ends of elements only takes counting brackets outside of strings.
func decodeArgs(data []byte) ([]any, error) {
	if len(data) == 0 || data[0] != '[' || !json.Valid(data) {
		return nil, errPacket
	}
	args := make([]any, 0, 3)
	start, depth, quoted := 1, 0, false
	for i := 1; i < len(data); i++ {
		switch c := data[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			depth++
		case depth > 0 && (c == ']' || c == '}'):
			depth--
		case depth == 0 && (c == ',' || c == ']'):
			element := bytes.TrimSpace(data[start:i])
			if c == ']' && len(element) == 0 {
				return args, nil // an empty array
			}
			if len(args) == maxArgs {
				return nil, errPacket
			}
			args = append(args, json.RawMessage(element))
			if c == ']' {
				return args, nil
			}
			start = i + 1
		}
	}
	return nil, errPacket
}

// reconstruct inserts the attachments at a binary packet's placeholders. The arguments become decoded values.
func reconstruct(p *parser.Packet, attachments []types.BufferInterface) error {
	args := p.Data.([]any)
	for i, arg := range args {
		raw, ok := arg.(json.RawMessage)
		if !ok {
			continue // the event name
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return errPacket
		}
		v, err := place(v, attachments)
		if err != nil {
			return err
		}
		args[i] = v
	}
	p.Attachments = nil
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

// encoder encodes the packets that the library sends: CONNECT, CONNECT_ERROR, DISCONNECT, acknowledgements and emits.
type encoder struct{}

func (encoder) Encode(p *parser.Packet) []types.BufferInterface {
	return []types.BufferInterface{&engine.Encoded{Frames: mustEncode(p)}}
}

// mustEncode encodes a packet, without data if that cannot be marshalled: this server does not send such values, and if it did, the client
// could handle that.
func mustEncode(p *parser.Packet) []byte {
	frames, err := encodeFrames(p)
	if err != nil {
		frames, _ = encodeFrames(&parser.Packet{Type: p.Type, Nsp: p.Nsp, Id: p.Id})
	}
	return frames
}

// encodeFrames encodes a packet and its attachments as frames for the engine.
func encodeFrames(p *parser.Packet) ([]byte, error) {
	var attachments []types.BufferInterface
	if (p.Type == parser.EVENT || p.Type == parser.ACK) && parser.HasBinary(p.Data) {
		binary := *p
		if p.Type == parser.EVENT {
			binary.Type = parser.BINARY_EVENT
		} else {
			binary.Type = parser.BINARY_ACK
		}
		p, attachments = parser.DeconstructPacket(&binary)
	}
	text, err := appendPacket(nil, p)
	if err != nil {
		return nil, err
	}
	frames := engine.AppendText(make([]byte, 0, len(text)+12), text)
	for _, a := range attachments {
		frames = engine.AppendBinary(frames, a.Bytes())
	}
	return frames, nil
}

func appendPacket(dst []byte, p *parser.Packet) ([]byte, error) {
	dst = append(dst, byte(p.Type))
	if p.Attachments != nil {
		dst = strconv.AppendUint(dst, *p.Attachments, 10)
		dst = append(dst, '-')
	}
	if p.Nsp != "" && p.Nsp != "/" {
		dst = append(dst, p.Nsp...)
		dst = append(dst, ',')
	}
	if p.Id != nil {
		dst = strconv.AppendUint(dst, *p.Id, 10)
	}
	args, ok := p.Data.([]any)
	switch {
	case ok:
		return appendArgs(dst, args)
	case p.Data != nil:
		return appendJSON(dst, p.Data)
	case p.Type == parser.ACK:
		return append(dst, "[]"...), nil
	}
	return dst, nil
}

func appendArgs(dst []byte, args []any) ([]byte, error) {
	dst = append(dst, '[')
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSON(dst, arg); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendJSON appends v as JSON.stringify would write it: without HTML escapes.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case json.RawMessage:
		return append(dst, v...), nil
	case []any:
		return appendArgs(dst, v)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...), nil
}
