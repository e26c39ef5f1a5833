package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Further element ids of Matroska (RFC 9559), and limits.
const (
	mkvTrackNumber    = 0xd7
	mkvCodec          = 0x86
	mkvCodecPrivate   = 0x63a2
	mkvEncodings      = 0x6d80
	mkvBlockGroup     = 0xa0
	mkvBlock          = 0xa1
	mkvSimpleBlock    = 0xa3
	maxTrackEntry     = 16 << 10
	maxOpusPacket     = 61_440 // bytes (RFC 7845, section 6)
	maxPacketSamples  = 5760   // 120 ms at 48 kHz (RFC 6716, section 3.1)
	oggPageSamples    = 48_000 // duration of an Ogg page
	maxOggSegments    = 255
	oggSerial         = 1
	oggFirst, oggLast = 2, 4
)

var (
	// ErrNoOpus means that a recording cannot be converted to Ogg Opus: it is not WebM, or its audio is not Opus.
	ErrNoOpus = errors.New("media: no WebM with Opus")

	opusVendor = []byte("OpusTags\x06\x00\x00\x00Sohbet\x00\x00\x00\x00")
)

// OpusFromWebM remuxes the Opus audio of a WebM file to Ogg (RFC 7845). Packets are copied, not decoded. It takes linear time and
// constant memory. An [ErrNoOpus] may be returned by the first read or a later one.
func OpusFromWebM(webm io.Reader) io.Reader {
	return &opusRemuxer{in: bufio.NewReader(webm)}
}

// opusRemuxer reads the elements of WebM sequentially and writes a page of Ogg whenever one is full.
type opusRemuxer struct {
	in    *bufio.Reader
	begun bool
	out   bytes.Buffer // a page that has not been read yet
	err   error

	track    uint64 // 0 = none yet
	pages    uint32
	granule  uint64 // samples at 48 kHz so far
	from     uint64 // samples at the start of the page
	segments []byte // lacing values of the current page
	body     []byte // packets of the current page
}

// Read returns data of the current page.
func (o *opusRemuxer) Read(p []byte) (int, error) {
	for o.out.Len() == 0 {
		if o.err != nil {
			return 0, o.err
		}
		o.err = o.step()
	}
	return o.out.Read(p)
}

func notOpus(why string, values ...any) error {
	return fmt.Errorf("%w: %s", ErrNoOpus, fmt.Sprintf(why, values...))
}

// step processes one element.
func (o *opusRemuxer) step() error {
	if !o.begun {
		o.begun = true
		if id, size, err := o.element(); err != nil || id != ebmlHeader {
			return notOpus("no EBML")
		} else if err := o.skip(size); err != nil {
			return err
		}
	}
	id, size, err := o.element()
	if errors.Is(err, io.EOF) {
		return o.end()
	} else if err != nil {
		return err
	}
	switch id {
	case mkvSegment, mkvTracks, mkvCluster, mkvBlockGroup:
		return nil // continue with their children
	case mkvTrack:
		return o.trackEntry(size)
	case mkvBlock, mkvSimpleBlock:
		return o.block(size)
	}
	return o.skip(size)
}

// end writes the last page.
func (o *opusRemuxer) end() error {
	if o.granule == 0 {
		return notOpus("no sound")
	}
	o.page(oggLast)
	return io.EOF
}

// element reads an id and a size (RFC 8794, sections 4 and 5). At the end of the file the error is io.EOF.
func (o *opusRemuxer) element() (id, size uint64, err error) {
	if id, _, err = o.number(4, true); err != nil {
		return 0, 0, err
	}
	size, unknown, err := o.number(8, false)
	if errors.Is(err, io.EOF) {
		return 0, 0, notOpus("an element without size")
	}
	if unknown && err == nil && id != mkvSegment && id != mkvCluster {
		return 0, 0, notOpus("an element of unknown size")
	}
	return id, size, err
}

// number reads a variable-length number of at most the given number of bytes; marked keeps the bits that encode its length.
func (o *opusRemuxer) number(most int, marked bool) (n uint64, unknown bool, err error) {
	first, err := o.in.ReadByte()
	if err != nil {
		return 0, false, err
	}
	length := bits.LeadingZeros8(first) + 1
	if length > most {
		return 0, false, notOpus("a broken element")
	}
	n = uint64(first)
	if !marked {
		n &= 1<<(8-length) - 1
	}
	for range length - 1 {
		b, err := o.in.ReadByte()
		if err != nil {
			return 0, false, unexpected(err)
		}
		n = n<<8 | uint64(b)
	}
	return n, n == 1<<(7*length)-1, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return notOpus("it ends within an element")
	}
	return err
}

func (o *opusRemuxer) skip(n uint64) error {
	if n > 1<<40 {
		return notOpus("an element of %d bytes", n)
	}
	_, err := io.CopyN(io.Discard, o.in, int64(n))
	return unexpected(err)
}

// content reads the content of an element, at most so many bytes.
func (o *opusRemuxer) content(size, most uint64) ([]byte, error) {
	if size > most {
		return nil, notOpus("an element of %d bytes", size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(o.in, b); err != nil {
		return nil, unexpected(err)
	}
	return b, nil
}

// trackEntry reads a track and starts the Ogg file if it is the first Opus track.
func (o *opusRemuxer) trackEntry(size uint64) error {
	b, err := o.content(size, maxTrackEntry)
	if err != nil || o.track != 0 {
		return err
	}
	in := &opusRemuxer{in: bufio.NewReader(bytes.NewReader(b))}
	var number uint64
	var codec string
	var head []byte
	for {
		id, size, err := in.element()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		value, err := in.content(size, maxTrackEntry)
		if err != nil {
			return err
		}
		switch id {
		case mkvTrackNumber:
			for _, x := range value {
				number = number<<8 | uint64(x)
			}
		case mkvCodec:
			codec = string(value)
		case mkvCodecPrivate:
			head = value
		case mkvEncodings:
			return notOpus("a compressed or encrypted track")
		}
	}
	if codec != "A_OPUS" || number == 0 {
		return nil
	}
	if !opusHead(head) {
		return notOpus("a track of Opus without a sound header")
	}
	o.track = number
	o.packet(head, 0)
	o.page(oggFirst)
	o.packet(opusVendor, 0)
	o.page(0)
	return nil
}

// opusHead reports whether a track's private data is an identification header with one or two channels (RFC 7845, section 5.1), which
// players of voice messages require.
func opusHead(b []byte) bool {
	return len(b) == 19 && string(b[:8]) == "OpusHead" && b[8]&0xf0 == 0 && (b[9] == 1 || b[9] == 2) && b[18] == 0
}

// block copies the packet of a block.
func (o *opusRemuxer) block(size uint64) error {
	if o.track == 0 {
		return notOpus("sound before a track of Opus")
	}
	if size > maxOpusPacket+16 {
		return notOpus("a block of %d bytes", size)
	}
	b, err := o.content(size, maxOpusPacket+16)
	if err != nil {
		return err
	}
	in := &opusRemuxer{in: bufio.NewReaderSize(bytes.NewReader(b), 16)}
	track, _, err := in.number(8, false)
	if err != nil {
		return unexpected(err)
	}
	b = b[bits.LeadingZeros8(b[0])+1:]
	if track != o.track {
		return nil
	}
	if len(b) < 4 || b[2]&0x06 != 0 { // two bytes of time, then flags, in which these bits are the lacing
		return notOpus("a block without packet or with several")
	}
	packet := b[3:]
	samples := opusSamples(packet)
	if samples == 0 || len(packet) > maxOpusPacket {
		return notOpus("no packet of Opus")
	}
	if len(o.segments)+len(packet)/255+1 > maxOggSegments || o.granule-o.from >= oggPageSamples {
		o.page(0)
	}
	o.packet(packet, samples)
	return nil
}

// opusSamples returns the duration of a packet in samples at 48 kHz (RFC 6716, section 3.1), 0 if it is invalid.
func opusSamples(packet []byte) uint64 {
	var frame uint64
	switch config := packet[0] >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		frame = [...]uint64{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		frame = 480 << (config & 1)
	default: // CELT: 2.5, 5, 10, 20 ms
		frame = 120 << (config & 3)
	}
	frames := uint64(1)
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0
		}
		frames = uint64(packet[1] & 0x3f)
	}
	if frame*frames > maxPacketSamples {
		return 0
	}
	return frame * frames
}

// packet adds a packet to the page, which has space for it.
func (o *opusRemuxer) packet(b []byte, samples uint64) {
	for range len(b) / 255 {
		o.segments = append(o.segments, 255)
	}
	o.segments = append(o.segments, byte(len(b)%255))
	o.body = append(o.body, b...)
	o.granule += samples
}

// page writes the current page (RFC 3533, section 6).
func (o *opusRemuxer) page(flags byte) {
	head := append([]byte("OggS\x00"), flags)
	head = binary.LittleEndian.AppendUint64(head, o.granule)
	head = binary.LittleEndian.AppendUint32(head, oggSerial)
	head = binary.LittleEndian.AppendUint32(head, o.pages)
	head = append(head, 0, 0, 0, 0, byte(len(o.segments)))
	head = append(head, o.segments...)
	binary.LittleEndian.PutUint32(head[22:], oggChecksum(oggChecksum(0, head), o.body))
	o.out.Write(head)
	o.out.Write(o.body)
	o.pages++
	o.from, o.segments, o.body = o.granule, o.segments[:0], o.body[:0]
}

// oggTable is the table of the CRC with the polynomial 0x04c11db7, unreflected, which hash/crc32 does not support.
var oggTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ 0x04c11db7*(c>>31)
		}
		t[i] = c
	}
	return t
}()

func oggChecksum(c uint32, b []byte) uint32 {
	for _, x := range b {
		c = c<<8 ^ oggTable[byte(c>>24)^x]
	}
	return c
}
