package engine

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/gobwas/ws"
)

// readHeader decodes what the library's reader decodes, at every length of what has arrived.
func TestReadHeader(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		data := make([]byte, r.IntN(16))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if len(data) > 2 && r.IntN(2) == 0 {
			data[1] = data[1]&0x80 | byte(125+r.IntN(3))
		}
		in := bytes.NewReader(data)
		want, err := ws.ReadHeader(in)
		got, size := readHeader(data)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if size != 0 {
				t.Fatalf("%x: size %d of an incomplete header", data, size)
			}
		case err != nil:
			if size == 0 || got.Length >= 0 {
				t.Fatalf("%x: %+v, want %v", data, got, err)
			}
		case got != want || size != len(data)-in.Len():
			t.Fatalf("%x: %+v of %d bytes, want %+v of %d", data, got, size, want, len(data)-in.Len())
		}
	}
}
