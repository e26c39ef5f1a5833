package media

import (
	"context"
	"encoding/binary"
	"slices"
)

// heif accepts a photo that this program cannot decode, and removes the metadata that may contain a location (EXIF, XMP).
func heif(ext, mime string) check {
	return func(_ *Service, ctx context.Context, raw *part) (*inspected, error) {
		w := newWalker(ctx, raw)
		b := boxes{w: w, any: true}
		if err := b.walk(0, w.size, 0); err != nil {
			return nil, err
		}
		if b.first != "ftyp" || b.meta.n < 4 {
			return nil, wrong("a HEIF without a picture")
		}
		secrets, err := heifMetadata(w, span{b.meta.at + 4, b.meta.n - 4}) // skips version and flags
		if err != nil {
			return nil, err
		}
		zeros := make([]byte, windowSize)
		for _, s := range secrets {
			for s.n > 0 {
				n := min(s.n, windowSize)
				if _, err := raw.file.WriteAt(zeros[:n], s.at); err != nil {
					return nil, err
				}
				s.at, s.n = s.at+n, s.n-n
			}
		}
		return &inspected{body: raw, mime: mime, ext: ext}, nil
	}
}

// numbers reads consecutive big-endian numbers.
type numbers struct {
	w   *walker
	at  int64
	err error
}

// next reads a number of 0 to 8 bytes.
func (r *numbers) next(bytes int) (v int64) {
	if r.err != nil || bytes == 0 {
		return 0
	}
	var b []byte
	if b, r.err = r.w.exactly(r.at, bytes); r.err != nil {
		return 0
	}
	for _, c := range b {
		v = v<<8 | int64(c)
	}
	r.at += int64(bytes)
	return v
}

// heifMetadata returns the byte ranges of EXIF and XMP items (ISO/IEC 14496-12 §8.11, ISO/IEC 23008-12 annex A).
func heifMetadata(w *walker, meta span) ([]span, error) {
	found := map[string]span{}
	err := children(w, meta, func(name string, content span) error {
		found[name] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids, err := heifItems(w, found["iinf"])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var list []span
	left := w.size
	r := &numbers{w: w, at: found["iloc"].at}
	version := r.next(1)
	r.next(3)
	sizes := int(r.next(2)) // sizes of offsets, lengths, base offsets and indices, four bits each
	size := func(i int) int { return sizes >> (12 - 4*i) & 0xf }
	wide := 2
	if version == 2 {
		wide = 4
	}
	for range r.next(wide) {
		id, method := r.next(wide), int64(0)
		if version > 0 {
			method = r.next(2) & 0xf
		}
		r.next(2)
		base := r.next(size(2))
		if method == 1 {
			base += found["idat"].at
		}
		for range r.next(2) {
			if err := w.step(); err != nil {
				return nil, err
			}
			if version > 0 {
				r.next(size(3))
			}
			at, n := base+r.next(size(0)), r.next(size(1))
			if r.err != nil {
				return nil, wrong("a HEIF with a broken list of its parts: %w", r.err)
			}
			if !slices.Contains(ids, id) || method > 1 {
				continue
			}
			if at < 0 || n < 0 || at > w.size || n > w.size-at || n > left { // each byte may be overwritten only once
				return nil, wrong("a HEIF with a part beyond its end")
			}
			left -= n
			list = append(list, span{at, n})
		}
	}
	return list, r.err
}

// heifItems returns the ids of the EXIF and XMP items.
func heifItems(w *walker, list span) (ids []int64, err error) {
	const most = 64
	r := &numbers{w: w, at: list.at}
	if list.n == 0 {
		return nil, nil
	}
	count := 2
	if r.next(1) > 0 {
		count = 4
	}
	list = span{list.at + 4 + int64(count), list.n - 4 - int64(count)}
	err = children(w, list, func(name string, entry span) error {
		r := &numbers{w: w, at: entry.at}
		version := r.next(1)
		r.next(3)
		wide := 2
		if version == 3 {
			wide = 4
		}
		id := r.next(wide)
		r.next(2)
		switch kind := uint32(r.next(4)); {
		case name != "infe" || version < 2:
		case kind != binary.BigEndian.Uint32([]byte("Exif")) && kind != binary.BigEndian.Uint32([]byte("mime")):
		case len(ids) == most:
			return wrong("a HEIF with more than %d descriptions", most)
		default:
			ids = append(ids, id)
		}
		return r.err
	})
	return ids, err
}

// children calls visit for each box within a range of a file.
func children(w *walker, in span, visit func(name string, content span) error) error {
	for at, end := in.at, in.at+in.n; at < end; {
		if err := w.step(); err != nil {
			return err
		}
		head, err := w.exactly(at, 8)
		if err != nil {
			return wrong("a truncated HEIF")
		}
		name, size := string(head[4:]), int64(binary.BigEndian.Uint32(head))
		if size < 8 || size > end-at {
			return wrong("a HEIF with data between its boxes")
		}
		if err := visit(name, span{at + 8, size - 8}); err != nil {
			return err
		}
		at += size
	}
	return nil
}
