package broker

import (
	"encoding/binary"
	"errors"

	"sohbet/server/realtime"
)

// kind is the first byte of a packet.
type kind byte

const (
	kindDelivery  kind = 1 + iota // a publication
	kindChanged                   // a thread changed
	kindHeartbeat                 // the sender is alive
	kindBye                       // the sender is shutting down
	kindTopic                     // a notification
	_                             // earlier versions, which may still run, mean something else by it
	kindResync                    // the sender dropped queued packets during an outage
	kindShared                    // what the sender shares with the others; earlier versions drop it
)

// Flags of a delivery. Earlier versions know only the first one.
const (
	flagVolatile byte = 1
	flagState    byte = 2
)

// packet is a message between processes.
type packet struct {
	kind     kind
	from     uint64   // the sending process
	sequence uint64   // number of the packet at its sender, 0 for kindHeartbeat and kindResync
	delivery Delivery // for kindDelivery; for kindChanged only Thread is set
	topic    string   // for kindTopic and kindShared
	data     string   // for kindShared
}

var errPacket = errors.New("broker: invalid packet")

// encode appends the packet to dst. Numbers are varints and strings are prefixed with their length, as in encoding/binary. The frames
// are already encoded for the sockets, so each event is encoded once for all processes.
func (p *packet) encode(dst []byte) []byte {
	dst = append(dst, byte(p.kind))
	dst = binary.BigEndian.AppendUint64(dst, p.from)
	dst = binary.AppendUvarint(dst, p.sequence)
	switch p.kind {
	case kindTopic:
		return appendText(dst, p.topic)
	case kindShared:
		return appendText(appendText(dst, p.topic), p.data)
	case kindChanged:
		return appendText(dst, p.delivery.Thread)
	case kindDelivery:
	default:
		return dst
	}
	d := &p.delivery
	var flags byte
	switch {
	case d.Volatile:
		flags = flagVolatile
	case d.State:
		flags = flagState
	}
	dst = append(dst, flags)
	dst = appendText(dst, d.Thread)
	dst = binary.AppendVarint(dst, d.ID)
	switch { // earlier versions, which may still run, ignore the second number if ID is 0
	case d.State:
		dst = binary.AppendVarint(dst, d.Rev)
	case d.Presence != 0:
		dst = binary.AppendVarint(dst, d.Presence)
	default:
		dst = binary.AppendVarint(dst, d.Follows)
	}
	dst = appendText(dst, d.Except)
	var frames []realtime.Frame
	index := func(f realtime.Frame) uint64 {
		for i, known := range frames {
			if &known[0] == &f[0] && len(known) == len(f) {
				return uint64(i)
			}
		}
		frames = append(frames, f)
		return uint64(len(frames) - 1)
	}
	for _, g := range [...]*realtime.Group{&d.First, &d.Second} {
		dst = appendText(dst, g.Room)
		dst = append(dst, byte(g.Only))
		dst = binary.AppendUvarint(dst, uint64(len(g.Frames)))
		for _, f := range g.Frames {
			dst = binary.AppendUvarint(dst, index(f))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(frames)))
	for _, f := range frames {
		dst = appendText(dst, f)
	}
	return dst
}

func appendText[T string | realtime.Frame](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader decodes a packet; after the first invalid value all further values are empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text() []byte { return r.take(r.uvarint()) }

// maxFrames limits the number of frames that a packet may declare: one publication may contain hundreds of heartbeats.
const maxFrames = 1 << 16

// sender decodes only the sending process and the sequence number of a packet.
func sender(payload string) (from, sequence uint64, err error) {
	r := reader{rest: []byte(payload[:min(len(payload), 1+8+binary.MaxVarintLen64)])}
	r.byte()
	if id := r.take(8); id != nil {
		from = binary.BigEndian.Uint64(id)
	}
	if sequence = r.uvarint(); r.bad {
		return 0, 0, errPacket
	}
	return from, sequence, nil
}

// decode decodes a packet. The frames reference data, which must not be modified afterwards.
func decode(data []byte) (p packet, err error) {
	r := reader{rest: data}
	p.kind = kind(r.byte())
	if from := r.take(8); from != nil {
		p.from = binary.BigEndian.Uint64(from)
	}
	p.sequence = r.uvarint()
	switch p.kind {
	case kindTopic:
		p.topic = string(r.text())
	case kindShared:
		p.topic, p.data = string(r.text()), string(r.text())
	case kindChanged:
		p.delivery.Thread = string(r.text())
	case kindDelivery:
		r.delivery(&p.delivery)
	}
	if r.bad || p.kind == 0 || len(r.rest) > 0 {
		return packet{}, errPacket
	}
	return p, nil
}

func (r *reader) delivery(d *Delivery) {
	flags := r.byte()
	d.Volatile = flags == flagVolatile
	d.Thread = string(r.text())
	d.ID, d.Follows = r.varint(), r.varint()
	switch {
	case d.ID != 0:
	case flags == flagState:
		d.Rev, d.State, d.Follows = d.Follows, true, 0
	default:
		d.Presence, d.Follows = d.Follows, 0
	}
	d.Except = string(r.text())
	var indices [2][]uint64
	groups := [...]*realtime.Group{&d.First, &d.Second}
	for i, g := range groups {
		g.Room, g.Only = string(r.text()), realtime.Side(r.byte())
		n := r.uvarint()
		if n > maxFrames {
			r.bad = true
			return
		}
		for range n {
			indices[i] = append(indices[i], r.uvarint())
		}
	}
	n := r.uvarint()
	if n > maxFrames {
		r.bad = true
		return
	}
	frames := make([]realtime.Frame, 0, min(n, 64))
	for range n {
		f := r.text()
		if len(f) == 0 {
			r.bad = true
			return
		}
		frames = append(frames, f)
	}
	for i, g := range groups {
		for _, at := range indices[i] {
			if at >= uint64(len(frames)) {
				r.bad = true
				return
			}
			g.Frames = append(g.Frames, frames[at])
		}
	}
}
