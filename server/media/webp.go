package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// webp checks the picture by decoding it and then keeps its bitstream unchanged, because there is no Go encoder for lossy WebP;
// everything else (EXIF, XMP, profiles, unknown chunks, trailing bytes) is removed. A picture that has to be rotated, or whose colours
// are not sRGB, is re-encoded as JPEG or PNG.
func (s *Service) webp(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	chunks, err := bitstream(w)
	if err != nil {
		return nil, err
	}
	if chunks.frames > 0 {
		return s.animatedWebP(ctx, raw, chunks)
	}
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := webp.DecodeConfig(r)
	if err == nil {
		err = fits(config)
	}
	if err != nil {
		return nil, err
	}
	var cost int64
	err = s.memory.run(ctx, 0, func(ctx context.Context) error { // parsing takes little memory, but as much time as a small picture
		cost, err = chunks.cost(ctx, raw, config)
		return err
	})
	if err != nil {
		return nil, err
	}
	orientation, colors := exifOrientation(w, chunks.exif), readProfile(chunks.icc.reader(raw.file))
	if orientation > 1 || colors != nil {
		how := picture{config: config, cost: cost, orientation: orientation, profile: colors, decode: webp.Decode, as: asJPEG}
		bytes := 1
		if chunks.alpha {
			how.as, bytes = asPNG, 4
			how.cost += 4 * int64(config.Width) * int64(config.Height) // see inBytes
		}
		how.cost += turnCost(orientation, config.Width, config.Height, bytes)
		return s.repaint(ctx, raw, how)
	}
	found := &inspected{mime: "image/webp", ext: ".webp", width: config.Width, height: config.Height}
	err = s.memory.run(ctx, cost, func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		m, err := webp.Decode(r)
		if err != nil {
			return err
		}
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		if err := chunks.copy(found.body, raw.file); err != nil {
			return err
		}
		return s.thumbnail(ctx, found, m, outputLimit(raw.size)-found.body.size)
	})
	return found.or(err)
}

// webpChunks are the chunks of a WebP file (RFC 9649) that contain the picture.
type webpChunks struct {
	alpha    bool
	lossless bool
	spans    []span // including header and padding; the picture is the last
	canvas   []byte // VP8X to write; nil for the simple format
	exif     span
	icc      span
	animation
}

// bitstream finds the picture in a WebP file, and the EXIF after it.
func bitstream(w *walker) (*webpChunks, error) {
	c := &webpChunks{}
	head, err := w.exactly(0, 12)
	if err != nil {
		return nil, wrong("no WebP: %w", err)
	}
	end := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" || end > w.size {
		return nil, wrong("not a complete WebP")
	}
	found := false
	for at := int64(12); at+8 <= end; {
		if err := w.step(); err != nil {
			return nil, err
		}
		chunk, err := w.bytes(at, 18) // the header, and the content of VP8X
		if err != nil {
			return nil, err
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		next := at + 8 + length + length&1
		if at+8+length > end {
			return nil, wrong("a WebP with a chunk beyond its end")
		}
		switch kind := string(chunk[:4]); kind {
		case "VP8X":
			const animation, alpha = 1 << 1, 1 << 4
			if length != 10 || c.canvas != nil || found {
				return nil, wrong("a WebP with a broken header")
			}
			c.canvas = append([]byte(nil), chunk...)
			c.canvas[8] &= alpha | animation // without the flags for profile, EXIF and XMP
			c.alpha, c.animated = chunk[8]&alpha != 0, chunk[8]&animation != 0
		case "ANIM", "ANMF":
			if !c.animated {
				break
			}
			if kind == "ANMF" {
				if err := c.frame(w, at, length); err != nil {
					return nil, err
				}
			}
			c.spans = append(c.spans, span{at, next - at})
		case "ICCP":
			if c.icc.n == 0 {
				c.icc = span{at + 8, length}
			}
		case "ALPH", "VP8 ", "VP8L": // chunks after one picture are not shown
			if found || c.animated {
				break
			}
			if len(c.spans) > 1 {
				return nil, wrong("a WebP with several alpha planes")
			}
			c.spans = append(c.spans, span{at, next - at})
			found = kind != "ALPH"
			c.lossless = kind == "VP8L"
			c.alpha = c.alpha || c.lossless
		case "EXIF":
			if c.exif.n == 0 {
				c.exif = span{at + 8, length}
			}
		}
		at = next
	}
	if !found && c.frames == 0 {
		return nil, wrong("a WebP without a picture")
	}
	return c, nil
}

// cost returns the maximum number of bytes that decoding allocates.
func (c *webpChunks) cost(ctx context.Context, raw *part, config image.Config) (int64, error) {
	pixels := int64(config.Width) * int64(config.Height)
	content := func(s span, skip int64) *bufio.Reader {
		return bufio.NewReader(timed{ctx, io.NewSectionReader(raw.file, s.at+8+skip, max(0, s.n-8-skip))})
	}
	picture := c.spans[len(c.spans)-1]
	if c.lossless {
		const header = 5
		return vp8lCost(content(picture, header), config.Width, config.Height)
	}
	// Planes of whole macroblocks in 4:2:0, filter strengths for each macroblock, and the compressed data.
	cost := 2*(int64(config.Width)+15)*(int64(config.Height)+15) + 2*raw.size
	if len(c.spans) > 1 {
		alpha := content(c.spans[0], 0)
		cost += pixels
		if how, err := alpha.ReadByte(); err != nil {
			return 0, wrong("a WebP with a broken alpha plane")
		} else if how&3 == 1 { // lossless, without its header
			n, err := vp8lCost(alpha, config.Width, config.Height)
			if err != nil {
				return 0, err
			}
			cost += n
		}
	}
	return cost, nil
}

// copy writes a WebP with only the picture.
func (c *webpChunks) copy(w io.Writer, f io.ReaderAt) error {
	_, err := io.Copy(w, c.file(f))
	return err
}

// file returns a WebP with only the picture.
func (c *webpChunks) file(f io.ReaderAt) io.Reader {
	total := int64(4 + len(c.canvas))
	for _, s := range c.spans {
		total += s.n
	}
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(total)) // an upload's size, far below the type's maximum
	parts := []io.Reader{bytes.NewReader(append(append(head, "WEBP"...), c.canvas...))}
	for _, s := range c.spans {
		parts = append(parts, s.reader(f))
	}
	// The last chunk may lack its padding.
	return io.LimitReader(io.MultiReader(append(parts, bytes.NewReader([]byte{0}))...), total+8)
}
