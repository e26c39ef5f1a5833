package media

import (
	"io"
)

// maxGroups is the maximum that the decoder accepts and libwebp writes.
const maxGroups = 2600

// vp8lWalker parses a lossless WebP bitstream (RFC 9649 §3) up to the Huffman codes of its pixels and adds up the memory that the
// decoder allocates for it. The codes of a file can need hundreds of times its size. Pixels need not be stored for that: the number of
// codes depends only on literal pixels, because copies and cached colours repeat those.
type vp8lWalker struct {
	r    io.ByteReader
	bits uint32
	n    uint
	// Bytes that the decoder allocates for pixels, and for codes, in blocks that the allocator rounds up.
	bytes, tables int64

	codes   [5]huffman // green, red, blue, alpha, distance
	lengths [vp8lMaxAlphabet]uint8
	ofCodes huffman // the code in which code lengths are written
}

const (
	vp8lMaxAlphabet                        = 256 + 24 + 1<<11
	predictor, crossColour, colourIndexing = 0, 1, 3 // transforms

	// Memory that the decoder uses for one group of five codes, for a node of a code, and for a length or a code while building it.
	groupBytes, nodeBytes, lengthBytes = 5 * (24 + 4*128), 8, 4
)

var vp8lAlphabets = [5]int{256 + 24, 256, 256, 256, 40}

// vp8lCost returns the maximum number of bytes that decoding a lossless bitstream of w × h pixels allocates. The reader is positioned
// after its header of five bytes.
func vp8lCost(r io.ByteReader, w, h int) (int64, error) {
	v := &vp8lWalker{r: r}
	full, seen := int64(w)*int64(h), 0
	for {
		more, err := v.read(1)
		if err != nil {
			return 0, err
		}
		if more == 0 {
			break
		}
		kind, err := v.read(2)
		if err != nil {
			return 0, err
		}
		if seen&(1<<kind) != 0 {
			return 0, wrong("a WebP with a repeated transform")
		}
		seen |= 1 << kind
		if w, err = v.transform(kind, w, h); err != nil {
			return 0, err
		}
	}
	if _, err := v.pixels(w, h, true); err != nil {
		return 0, err
	}
	if seen&(1<<colourIndexing) != 0 {
		v.bytes += 4 * full // packed pixels are unpacked into a second picture
	}
	return v.bytes + v.tables*9/8 + 16<<10, nil
}

// transform reads a transform (RFC 9649 §4) and returns the picture width after it.
func (v *vp8lWalker) transform(kind, w, h int) (int, error) {
	switch kind {
	case predictor, crossColour:
		b, err := v.read(3)
		if err != nil {
			return 0, err
		}
		_, err = v.pixels(tiles(w, b+2), tiles(h, b+2), false)
		return w, err
	case colourIndexing:
		n, err := v.read(8)
		if err != nil {
			return 0, err
		}
		n++
		v.tables += 4 * 256
		packed := 0
		switch {
		case n <= 2:
			packed = 3
		case n <= 4:
			packed = 2
		case n <= 16:
			packed = 1
		}
		_, err = v.pixels(n, 1, false)
		return tiles(w, packed), err
	}
	return w, nil // subtract green has no data
}

func tiles(n, bits int) int { return (n + 1<<bits - 1) >> bits }

// pixels reads an entropy-coded image (RFC 9649 §5) and returns the largest value of red and green combined in a pixel. Of the main
// image only the codes are read.
func (v *vp8lWalker) pixels(w, h int, main bool) (largest int, err error) {
	v.bytes += 4 * int64(w) * int64(h)
	cache, err := v.read(1)
	if err != nil {
		return 0, err
	}
	if cache != 0 {
		n, err := v.read(4)
		if err != nil {
			return 0, err
		}
		if n < 1 || n > 11 {
			return 0, wrong("a WebP with a colour cache of %d bits", n)
		}
		cache = 1 << n
		v.tables += 4 * int64(cache)
	}
	groups := 1
	if main {
		if groups, err = v.groups(w, h); err != nil {
			return 0, err
		}
	}
	v.tables += int64(groups) * groupBytes
	for range groups {
		for i, size := range vp8lAlphabets {
			if i == 0 {
				size += cache
			}
			if err := v.code(&v.codes[i], size); err != nil {
				return 0, err
			}
		}
	}
	if main {
		return 0, nil
	}
	return v.literals(w*h, cache)
}

// groups returns the number of code groups: one more than the largest index in a tile.
func (v *vp8lWalker) groups(w, h int) (int, error) {
	several, err := v.read(1)
	if err != nil || several == 0 {
		return 1, err
	}
	b, err := v.read(3)
	if err != nil {
		return 0, err
	}
	largest, err := v.pixels(tiles(w, b+2), tiles(h, b+2), false)
	if err != nil {
		return 0, err
	}
	if largest >= maxGroups {
		return 0, wrong("a WebP of more than %d groups of codes", maxGroups)
	}
	v.tables += 2 * int64(largest+1) // the decoder's map from tiles to groups
	return largest + 1, nil
}

// literals reads n pixels.
func (v *vp8lWalker) literals(n, cache int) (largest int, err error) {
	for n > 0 {
		green, err := v.codes[0].next(v)
		if err != nil {
			return 0, err
		}
		switch {
		case green < 256:
			var rest [3]int
			for i := range rest {
				if rest[i], err = v.codes[1+i].next(v); err != nil {
					return 0, err
				}
			}
			largest = max(largest, rest[0]<<8|green)
			n--
		case green < 256+24:
			length, err := v.number(green - 256)
			if err != nil {
				return 0, err
			}
			distance, err := v.codes[4].next(v)
			if err == nil {
				_, err = v.number(distance)
			}
			if err != nil {
				return 0, err
			}
			if n -= length; n < 0 {
				return 0, wrong("a WebP with a copy beyond its end")
			}
		case green-256-24 < cache:
			n--
		default:
			return 0, wrong("a WebP with a colour beyond its cache")
		}
	}
	return largest, nil
}

// number reads the extra bits of a length or a distance (RFC 9649 §5.2.2).
func (v *vp8lWalker) number(prefix int) (int, error) {
	if prefix < 4 {
		return prefix + 1, nil
	}
	extra := uint(prefix-2) >> 1
	n, err := v.read(extra)
	return (2+prefix&1)<<extra + n + 1, err
}

// code reads a Huffman code (RFC 9649 §3.7.2.1) for an alphabet of the given size.
func (v *vp8lWalker) code(to *huffman, size int) error {
	simple, err := v.read(1)
	if err != nil {
		return err
	}
	lengths := v.lengths[:size]
	clear(lengths)
	if simple != 0 {
		return v.simpleCode(to, lengths)
	}
	if err := v.codeLengths(lengths); err != nil {
		return err
	}
	v.tables += 2 * lengthBytes * int64(size)
	return v.build(to, lengths)
}

func (v *vp8lWalker) build(h *huffman, lengths []uint8) error {
	symbols, err := h.build(lengths)
	v.tables += nodeBytes * int64(2*symbols)
	return err
}

// simpleCode reads a code of one or two symbols.
func (v *vp8lWalker) simpleCode(to *huffman, lengths []uint8) error {
	head, err := v.read(2) // whether there is a second one, and whether the first has eight bits
	if err != nil {
		return err
	}
	width := uint(1)
	if head&2 != 0 {
		width = 8
	}
	for range 1 + head&1 {
		symbol, err := v.read(width)
		if err != nil {
			return err
		}
		if symbol >= len(lengths) || lengths[symbol] != 0 {
			return wrong("a WebP with a broken code")
		}
		lengths[symbol], width = 1, 8
	}
	return v.build(to, lengths)
}

// codeLengths reads code lengths, which are Huffman-coded themselves.
func (v *vp8lWalker) codeLengths(lengths []uint8) error {
	n, err := v.read(4)
	if err != nil {
		return err
	}
	if n += 4; n > 19 {
		return wrong("a WebP with a broken code")
	}
	var own [19]uint8
	for _, symbol := range []int{17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}[:n] {
		length, err := v.read(3)
		if err != nil {
			return err
		}
		own[symbol] = uint8(length) // three bits
	}
	if err := v.build(&v.ofCodes, own[:]); err != nil {
		return err
	}
	v.tables += 2 * lengthBytes * 19
	left := len(lengths)
	limited, err := v.read(1)
	if err != nil {
		return err
	}
	if limited != 0 {
		width, err := v.read(3)
		if err != nil {
			return err
		}
		if left, err = v.read(uint(2 + 2*width)); err != nil {
			return err
		}
		if left += 2; left > len(lengths) {
			return wrong("a WebP with a broken code")
		}
	}
	previous := uint8(8)
	for i := 0; i < len(lengths) && left > 0; left-- {
		symbol, err := v.ofCodes.next(v)
		if err != nil {
			return err
		}
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			if i++; symbol != 0 {
				previous = uint8(symbol)
			}
			continue
		}
		repetition := [3]struct {
			extra uint
			least int
		}{{2, 3}, {3, 3}, {7, 11}}[symbol-16]
		n, err := v.read(repetition.extra)
		if err != nil {
			return err
		}
		if n += repetition.least; i+n > len(lengths) {
			return wrong("a WebP with a broken code")
		}
		for range n {
			if symbol == 16 {
				lengths[i] = previous
			}
			i++
		}
	}
	return nil
}

// read reads a number of up to 16 bits, least significant bit first.
func (v *vp8lWalker) read(n uint) (int, error) {
	for v.n < n {
		b, err := v.r.ReadByte()
		if err != nil {
			return 0, wrong("a truncated WebP: %w", err)
		}
		v.bits |= uint32(b) << v.n
		v.n += 8
	}
	value := v.bits & (1<<n - 1)
	v.bits >>= n
	v.n -= n
	return int(value), nil
}

// huffman is a canonical Huffman code of up to 15 bits.
type huffman struct {
	counts  [16]uint16 // number of codes by length
	symbols [vp8lMaxAlphabet]uint16
	single  bool // one symbol, coded with no bits
}

// build creates a code from the code lengths of its symbols and returns the number of symbols. The code must be complete.
func (h *huffman) build(lengths []uint8) (symbols int, err error) {
	clear(h.counts[:])
	for _, n := range lengths {
		h.counts[n]++
	}
	symbols = len(lengths) - int(h.counts[0])
	h.counts[0] = 0
	var next [16]uint16
	left := 1
	for n := 1; n < 16; n++ {
		next[n] = next[n-1] + h.counts[n-1]
		left = left<<1 - int(h.counts[n])
		if left < 0 {
			return symbols, wrong("a WebP with a broken code")
		}
	}
	if h.single = symbols == 1; symbols == 0 || left != 0 && !h.single {
		return symbols, wrong("a WebP with a broken code")
	}
	for symbol, n := range lengths {
		if n > 0 {
			h.symbols[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	return symbols, nil
}

// next reads a symbol.
func (h *huffman) next(v *vp8lWalker) (int, error) {
	if h.single {
		return int(h.symbols[0]), nil
	}
	code, first, index := 0, 0, 0
	for _, n := range h.counts[1:] {
		bit, err := v.read(1)
		if err != nil {
			return 0, err
		}
		code = code<<1 | bit
		if count := int(n); code-first < count {
			return int(h.symbols[index+code-first]), nil
		} else {
			index += count
			first = (first + count) << 1
		}
	}
	return 0, wrong("a WebP with a broken code")
}
