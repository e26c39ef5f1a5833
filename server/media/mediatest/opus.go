package mediatest

import "encoding/binary"

// OpusPackets returns n packets of 20 ms of Opus (RFC 6716) with different content; some need more than one lacing value.
func OpusPackets(n int) (list [][]byte) {
	for i := range n {
		packet := make([]byte, 3+i%600)
		packet[0] = 0xf8 // CELT, 20 ms, one frame
		binary.BigEndian.PutUint16(packet[1:], uint16(i))
		list = append(list, packet)
	}
	return list
}

// OpusHead returns the identification header of mono audio (RFC 7845, section 5.1).
func OpusHead() []byte { return []byte("OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00") }

// WebMOpus returns a recording as Chromium writes it: a segment and clusters of unknown size, one track, one packet per block.
func WebMOpus(packets [][]byte) []byte {
	const unknown = "\x01\xff\xff\xff\xff\xff\xff\xff"
	track := element(0xae, element(0xd7, []byte{1}), element(0x73c5, []byte{7}), element(0x83, []byte{2}), element(0x86, []byte("A_OPUS")),
		element(0x63a2, OpusHead()), element(0xe1, element(0xb5, []byte{0x47, 0x3b, 0x80, 0}), element(0x9f, []byte{1})))
	out := join(element(0x1a45dfa3, element(0x4282, []byte("webm"))), []byte("\x18\x53\x80\x67"+unknown),
		element(0x1549a966, element(0x2ad7b1, []byte{0x0f, 0x42, 0x40})), element(0x1654ae6b, track))
	for i, packet := range packets {
		if i%250 == 0 { // five seconds
			out = join(out, []byte("\x1f\x43\xb6\x75"+unknown), element(0xe7, binary.BigEndian.AppendUint32(nil, uint32(20*i))))
		}
		out = append(out, element(0xa3, append([]byte{0x81, byte(20 * (i % 250) >> 8), byte(20 * (i % 250)), 0x80}, packet...))...)
	}
	return out
}
