package durability

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"sohbet/server/media/mediatest"
)

// form returns a multipart body with a file, as browsers send it, and its Content-Type.
func form(t *testing.T, name string, content []byte) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// TestUploadsAtOnce uploads many phone photos at once (SOHBET_UPLOADS sets the number), of 5 MB and 12 megapixels each and with an EXIF
// rotation, and measures the memory of the process. A decoded photo takes 18 MB, so only one may be decoded at a time.
func TestUploadsAtOnce(t *testing.T) {
	const bound = 40 << 20
	uploads := number(t, "SOHBET_UPLOADS", 6)
	photo := mediatest.WithEXIF(mediatest.JPEG(t, mediatest.Picture(4032, 3024, 48)), mediatest.EXIF(6))
	if len(photo) < 4<<20 || len(photo) > 5<<20 {
		t.Fatalf("the photo has %d bytes", len(photo))
	}
	body, kind := form(t, "IMG_0001.jpg", photo)
	p := start(t, t.TempDir(), "", "RATE_LIMIT_UPLOAD=off")
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: uploads}}
	send := func() error {
		res, err := client.Post("http://"+p.Addr+"/api/upload/image", kind, bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"width":3024`)) {
			return fmt.Errorf("%d %s: %w", res.StatusCode, answer, err)
		}
		return nil
	}
	before := p.Memory()
	p.Forget()
	var group errgroup.Group
	for range uploads {
		group.Go(send)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	rise := p.Peak() - before
	t.Logf("%d uploads of %.1f MB at once: %.1f MB at rest, %.1f MB more at the most", uploads, float64(len(photo))/(1<<20),
		float64(before)/(1<<20), float64(rise)/(1<<20))
	if rise > bound {
		t.Errorf("memory rose by %.1f MB, more than %d MB", float64(rise)/(1<<20), bound>>20)
	}
}

// TestKilledWhileUploading kills the server during an upload: the partial file must not be kept.
func TestKilledWhileUploading(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "", "RATE_LIMIT_UPLOAD=off")
	body, kind := form(t, "a.jpg", mediatest.JPEG(t, mediatest.Picture(1200, 900, 200)))
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		res, err := http.Post("http://"+p.Addr+"/api/upload/image", kind, read)
		if err == nil {
			err = res.Body.Close()
		}
		ended <- err
	}()
	if _, err := write.Write(body[:len(body)/2]); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	_ = write.CloseWithError(io.ErrClosedPipe)
	<-ended
	p = start(t, dir, "", "RATE_LIMIT_UPLOAD=off")
	for _, folder := range []string{"images", "audio", "files", "thumbs"} {
		if list, err := os.ReadDir(filepath.Join(dir, "uploads", folder)); err != nil || len(list) > 0 {
			t.Errorf("%s holds %v, %v", folder, list, err)
		}
	}
	res, err := http.Post("http://"+p.Addr+"/api/upload/image", kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the next upload: %d, %v", res.StatusCode, err)
	}
}
