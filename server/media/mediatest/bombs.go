package mediatest

import (
	"bytes"
	"compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// The files in this source file are small and well-formed, but cost a naive decoder far more memory or time than their size suggests.

// bitWriter writes bits starting with the least significant one, as in VP8L.
type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) put(value, count int) {
	for i := range count {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(value>>i&1) << (w.n % 8)
		w.n++
	}
}

// code writes a Huffman code, most significant bit first.
func (w *bitWriter) code(value, length int) {
	for i := length - 1; i >= 0; i-- {
		w.put(value>>i, 1)
	}
}

// fullCode returns the code lengths of a complete Huffman code for n symbols.
func fullCode(n int) []int {
	k := bits.Len(uint(n)) - 1
	lengths := make([]int, n)
	for i := range lengths {
		if lengths[i] = k + 1; i < 2<<k-n {
			lengths[i] = k
		}
	}
	return lengths
}

// simple writes the definition of a Huffman code (RFC 9649 §3.7.2.1.1) with only symbol 0.
func (w *bitWriter) simple() { w.put(0b0001, 4) }

// tree writes the definition of a Huffman code (RFC 9649 §3.7.2.1.2) by its lengths, of which at most three different ones may occur.
func (w *bitWriter) tree(lengths []int) {
	values := slices.Clone(lengths)
	slices.Sort(values)
	values = slices.Compact(values)
	// Code for the code lengths: one bit for a repetition, longer codes for the others.
	own := map[int]int{16: 1, values[0]: len(values)}
	for i, v := range values[1:] {
		own[v] = 2 + i
	}
	if len(values) == 3 {
		own[values[0]], own[values[1]], own[values[2]] = 2, 3, 3
	}
	if len(values) == 2 {
		own[values[0]], own[values[1]] = 2, 2
	}
	w.put(0, 1)
	w.put(15, 4) // all 19
	for _, symbol := range []int{17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		w.put(own[symbol], 3)
	}
	codes := map[int]int{}
	next := 0
	for length := 1; length <= 7; length++ {
		next <<= 1
		for symbol := range 19 {
			if own[symbol] == length {
				codes[symbol] = next
				next++
			}
		}
	}
	w.put(0, 1) // max_symbol is the alphabet size
	for i := 0; i < len(lengths); {
		run := 1
		for i+run < len(lengths) && lengths[i+run] == lengths[i] {
			run++
		}
		w.code(codes[lengths[i]], own[lengths[i]])
		i++
		for run--; run > 0; {
			n := min(run, 6)
			if n < 3 || lengths[i] == 0 { // 16 repeats the last nonzero length
				w.code(codes[lengths[i]], own[lengths[i]])
				i, run = i+1, run-1
				continue
			}
			w.code(codes[16], own[16])
			w.put(n-3, 2)
			i, run = i+n, run-n
		}
	}
}

// WebPGroups returns a valid lossless WebP of 208 × 208 pixels with the given number of Huffman code groups, at most 2,600, and of bits
// of its colour cache, 0 for none. Every code has all its symbols.
func WebPGroups(groups, cacheBits int) []byte {
	const side = 208 // 52 × 52 tiles
	w := &bitWriter{}
	w.put(0x2f, 8)
	w.put(side-1, 14)
	w.put(side-1, 14)
	w.put(0, 1+3+1) // alpha, version, no transform
	cache := 0
	if cacheBits > 0 {
		w.put(1, 1)
		w.put(cacheBits, 4)
		cache = 1 << cacheBits
	} else {
		w.put(0, 1)
	}
	w.put(1, 1) // several groups
	w.put(0, 3) // tiles of 4 × 4
	w.put(0, 1) // the image of tiles has no cache
	w.tree(append(fullCode(256), make([]int, 24)...))
	w.tree(append(fullCode(16), make([]int, 240)...))
	w.simple()
	w.simple()
	w.simple()
	for tile := range side / 4 * side / 4 {
		group := tile % groups
		w.code(group&0xff, 8)
		w.code(group>>8, 4)
	}
	green, other, distance := fullCode(280+cache), fullCode(256), fullCode(40)
	for range groups {
		w.tree(green)
		for range 3 {
			w.tree(other)
		}
		w.tree(distance)
	}
	// One black pixel, and then copies of it.
	k := bits.Len(uint(len(green))) - 1
	short := 2<<k - len(green)
	symbol := func(n int) {
		if n < short {
			w.code(n, k)
		} else {
			w.code(n+short, k+1)
		}
	}
	symbol(0)
	for range 3 {
		w.code(0, 8)
	}
	for left := side*side - 1; left > 0; {
		n := min(left, 4096)
		if m := n - 1; n <= 4 {
			symbol(256 + m)
		} else {
			k := bits.Len(uint(m)) - 1
			symbol(256 + 2*k + m>>(k-1)&1)
			w.put(m&(1<<(k-1)-1), k-1)
		}
		w.code(1, 5) // the previous pixel
		left -= n
	}
	return riffWebP(w.b)
}

func riffWebP(bitstream []byte) []byte {
	if len(bitstream)%2 == 1 {
		bitstream = append(bitstream, 0)
	}
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(12+len(bitstream)))
	b = binary.LittleEndian.AppendUint32(append(b, "WEBPVP8L"...), uint32(len(bitstream)))
	return append(b, bitstream...)
}

// webpAlpha returns a lossy WebP whose alpha plane is the bitstream of a lossless one of 208 × 208 pixels; its colour data is invalid.
func webpAlpha(lossless []byte) []byte {
	bitstream := lossless[20+5:]
	alpha := binary.LittleEndian.AppendUint32([]byte("ALPH"), uint32(1+len(bitstream)))
	alpha = append(append(alpha, 1), bitstream...)
	if len(alpha)%2 == 1 {
		alpha = append(alpha, 0)
	}
	canvas := []byte{'V', 'P', '8', 'X', 10, 0, 0, 0, 0x10, 0, 0, 0, 207, 0, 0, 207, 0, 0}
	colours := append([]byte("VP8 \x0a\x00\x00\x00"), make([]byte, 10)...)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(canvas)+len(alpha)+len(colours)))
	return join(b, []byte("WEBP"), canvas, alpha, colours)
}

// PNGOptions configure [RawPNG].
type PNGOptions struct {
	Width, Height, Depth int
	ColorType            byte // PNG §11.2.2: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
	Adam7                bool
	Noise                byte   // mask of the bits of each byte that are random, the same for every row of a pass
	Before               []byte // chunks between the header and the pixels
}

// RawPNG returns a PNG of any size, writing it row by row with little memory; the file is small, because all rows of a pass are equal.
func RawPNG(t testing.TB, o PNGOptions) []byte {
	t.Helper()
	samples := map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[o.ColorType]
	passes := [][4]int{{0, 0, 1, 1}} // first column, first row, column and row steps
	if o.Adam7 {
		passes = [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	}
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	dice := rand.New(rand.NewPCG(1, 2))
	for _, p := range passes {
		w, h := (o.Width-p[0]+p[2]-1)/p[2], (o.Height-p[1]+p[3]-1)/p[3]
		row := make([]byte, 1+(w*samples*o.Depth+7)/8) // filter type none
		for i := 1; o.Noise > 0 && i < len(row); i++ {
			row[i] = 128 ^ byte(dice.Uint32())&o.Noise
		}
		for range h {
			if _, err := z.Write(row); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(o.Width)), uint32(o.Height))
	header = append(header, byte(o.Depth), o.ColorType, 0, 0, 0)
	if o.Adam7 {
		header[12] = 1
	}
	return join([]byte("\x89PNG\r\n\x1a\n"), PNGChunk("IHDR", header), o.Before, PNGChunk("IDAT", data.Bytes()), PNGChunk("IEND", nil))
}

// WebMNested returns a WebM with this many track entries, each nested in the previous one.
func WebMNested(depth int) []byte {
	out := webmHead()
	for i := range depth {
		out = append(out, 0xae)
		out = binary.BigEndian.AppendUint32(out, 0x10000000|uint32(5*(depth-1-i)))
	}
	return out
}

// WebMEmpty returns a WebM with n empty elements of two bytes each.
func WebMEmpty(n int) []byte {
	return append(webmHead(), bytes.Repeat([]byte{0xec, 0x80}, n)...)
}

func webmHead() []byte {
	return join(element(0x1a45dfa3, element(0x4282, []byte("webm"))), []byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
}

// ZIPEntries returns a minimal archive of empty files, whose end record declares told entries and a directory of size bytes (0 = the
// actual size).
func ZIPEntries(entries, told int, size uint32) []byte {
	local := join([]byte("PK\x03\x04\x0a\x00"), make([]byte, 20), []byte{1, 0, 0, 0, 'a'})
	entry := join([]byte("PK\x01\x02\x0a\x00\x0a\x00"), make([]byte, 20), []byte{1, 0}, make([]byte, 16), []byte{'a'})
	if size == 0 {
		size = uint32(entries * len(entry))
	}
	end := append([]byte("PK\x05\x06\x00\x00\x00\x00"), byte(told), byte(told>>8), byte(told), byte(told>>8))
	end = binary.LittleEndian.AppendUint32(end, size)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(local)))
	return join(local, bytes.Repeat(entry, entries), append(end, 0, 0))
}

// GIFFrames returns an animation of w × h pixels with equal frames of one colour.
func GIFFrames(t testing.TB, w, h, frames int) []byte {
	t.Helper()
	var pixels bytes.Buffer
	z := lzw.NewWriter(&pixels, lzw.LSB, 2)
	if _, err := z.Write(make([]byte, w*h)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	frame := []byte{0x2c, 0, 0, 0, 0, byte(w), byte(w >> 8), byte(h), byte(h >> 8), 0, 2}
	for block := range slices.Chunk(pixels.Bytes(), 255) {
		frame = append(append(frame, byte(len(block))), block...)
	}
	frame = append(frame, 0)
	out := append([]byte("GIF89a"), byte(w), byte(w>>8), byte(h), byte(h>>8), 0x81, 0, 0)
	out = append(out, make([]byte, 12)...)
	return append(append(out, bytes.Repeat(frame, frames)...), 0x3b)
}

// JPEGScans returns a valid progressive grey JPEG with scans that change nothing.
func JPEGScans(w, h, scans int) []byte {
	blocks := (w + 7) / 8 * ((h + 7) / 8)
	segment := func(marker byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(2+len(body))), body...)
	}
	table := func(class, symbol byte) []byte { // one symbol, of one bit
		return segment(0xc4, append(append([]byte{class << 4, 1}, make([]byte, 15)...), symbol)...)
	}
	var first, empty jpegBits
	for range blocks {
		first.put(0, 1) // no difference
	}
	for left := blocks; left > 0; left -= 1 << 14 { // a run may extend past the end of the picture
		empty.put(0, 1)
		empty.put(0, 14)
	}
	out := join([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...),
		segment(0xc2, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 1, 1, 0x11, 0), table(0, 0), table(1, 0xe0))
	for i := range scans {
		if i == 0 {
			out = join(out, segment(0xda, 1, 1, 0, 0, 0, 0), first.end())
		} else {
			out = join(out, segment(0xda, 1, 1, 0, 1, 63, 0), empty.end())
		}
	}
	return append(out, 0xff, 0xd9)
}

// jpegBits writes entropy-coded data, most significant bit first.
type jpegBits struct {
	b    []byte
	bits uint
	n    int
}

func (w *jpegBits) put(value, count int) {
	for i := count - 1; i >= 0; i-- {
		w.bits = w.bits<<1 | uint(value>>i&1)
		if w.n++; w.n == 8 {
			w.b = append(w.b, byte(w.bits))
			if byte(w.bits) == 0xff {
				w.b = append(w.b, 0)
			}
			w.bits, w.n = 0, 0
		}
	}
}

func (w *jpegBits) end() []byte {
	for w.n > 0 {
		w.put(1, 1)
	}
	return w.b
}

// Bombs returns, by name, files of every accepted kind that need far more resources than allowed. Generating them takes a few seconds.
func Bombs(t testing.TB) map[string][]byte {
	// Each bit becomes four bytes in memory, because one grey level is transparent, and interlacing doubles that.
	adam7 := RawPNG(t, PNGOptions{Width: 6500, Height: 4000, Depth: 1, Adam7: true, Before: PNGChunk("tRNS", []byte{0, 0})})
	return map[string][]byte{
		"image: a WebP of 2,600 groups of codes":       WebPGroups(2600, 11),
		"image: an interlaced PNG":                     adam7,
		"image: an interlaced PNG to be turned":        WithEXIF(adam7, EXIF(6)),
		"image: a PNG of one row":                      RawPNG(t, PNGOptions{Width: 25_000_000, Height: 1, Depth: 1}),
		"image: a PNG of one column":                   RawPNG(t, PNGOptions{Width: 1, Height: 2_500_000, Depth: 1}),
		"image: a JPEG of many scans":                  JPEGScans(4000, 3000, 90),
		"image: a GIF of many frames":                  GIFFrames(t, 1, 1, 200_000),
		"audio: a WebM of nested elements":             WebMNested(2_000_000),
		"audio: a WebM of empty elements":              WebMEmpty(5_000_000),
		"file: a ZIP that says it has ten files":       ZIPEntries(3<<16+10, 10, 0),
		"file: a ZIP with a correct entry count":       ZIPEntries(6000, 6000, 0),
		"file: a ZIP of a directory beyond its end":    ZIPEntries(10, 10, 1<<31),
		"file: a ZIP that declares fewer entries":      ZIPEntries(20, 10, 0),
		"file: a ZIP that declares more entries":       ZIPEntries(10, 20, 0),
		"image: a lossy WebP with such an alpha plane": webpAlpha(WebPGroups(2600, 11)),
	}
}
