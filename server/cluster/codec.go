package cluster

import (
	"encoding/binary"
	"errors"

	"sohbet/server/realtime"
)

// kind is the first byte of a packet.
type kind byte

const (
	// Sent to the channels of rooms.
	kindPost   kind = 1 + iota // a publication
	kindForget                 // a thread changed
	// Sent to the channel of all processes.
	kindBeat    // heartbeat
	kindBye     // the sender is shutting down
	kindTurned  // a change that is not about one thread; has a name
	kindCleared // every thread was deleted
	kindResync  // the sender dropped queued packets during an outage
)

// packet is a message between processes. sent is the sender's sequence number for packets to rooms, which identifies duplicates: a
// packet to two rooms arrives twice at a process with members in both, and a packet is sent again if it is unknown whether it arrived.
type packet struct {
	kind kind
	from uint64 // the sending process
	sent uint64
	post Post   // for kindPost; for kindForget only Thread is set
	name string // for kindTurned
}

var errPacket = errors.New("cluster: invalid packet")

// encode appends the packet to dst. Numbers are varints and strings are prefixed with their length, as in encoding/binary. The frames
// are already encoded for the sockets, so each event is encoded once for all processes.
func (p *packet) encode(dst []byte) []byte {
	dst = append(dst, byte(p.kind))
	dst = binary.BigEndian.AppendUint64(dst, p.from)
	dst = binary.AppendUvarint(dst, p.sent)
	switch p.kind {
	case kindTurned:
		return appendText(dst, p.name)
	case kindForget:
		return appendText(dst, p.post.Thread)
	case kindPost:
	default:
		return dst
	}
	post := &p.post
	var flags byte
	if post.Volatile {
		flags = 1
	}
	dst = append(dst, flags)
	dst = appendText(dst, post.Thread)
	dst = binary.AppendVarint(dst, post.ID)
	dst = binary.AppendVarint(dst, post.Follows)
	dst = appendText(dst, post.Except)
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
	for _, g := range [...]*realtime.Group{&post.First, &post.Second} {
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
func sender(payload string) (from, sent uint64, err error) {
	r := reader{rest: []byte(payload[:min(len(payload), 1+8+binary.MaxVarintLen64)])}
	r.byte()
	if id := r.take(8); id != nil {
		from = binary.BigEndian.Uint64(id)
	}
	if sent = r.uvarint(); r.bad {
		return 0, 0, errPacket
	}
	return from, sent, nil
}

// decode decodes a packet. The frames reference data, which must not be modified afterwards.
func decode(data []byte) (p packet, err error) {
	r := reader{rest: data}
	p.kind = kind(r.byte())
	if from := r.take(8); from != nil {
		p.from = binary.BigEndian.Uint64(from)
	}
	p.sent = r.uvarint()
	switch p.kind {
	case kindTurned:
		p.name = string(r.text())
	case kindForget:
		p.post.Thread = string(r.text())
	case kindPost:
		r.post(&p.post)
	}
	if r.bad || p.kind == 0 || len(r.rest) > 0 {
		return packet{}, errPacket
	}
	return p, nil
}

func (r *reader) post(post *Post) {
	post.Volatile = r.byte() == 1
	post.Thread = string(r.text())
	post.ID, post.Follows = r.varint(), r.varint()
	post.Except = string(r.text())
	var indices [2][]uint64
	groups := [...]*realtime.Group{&post.First, &post.Second}
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
