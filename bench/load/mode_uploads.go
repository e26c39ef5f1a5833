package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"time"

	"sohbet/server/media/mediatest"
)

type uploadsResult struct {
	Photos int     `json:"photos"`
	Bytes  int     `json:"bytes_each"`
	Took   latency `json:"taken"`  // from the first byte to the response
	Failed int     `json:"failed"` // uploads that were refused
	Why    string  `json:"why,omitempty"`
}

// uploads uploads photos of 12 megapixels for t.measure, t.conns at a time. It needs the whole server.
func uploads(ctx context.Context, t *target) (any, error) {
	var photo, body bytes.Buffer
	if err := jpeg.Encode(&photo, mediatest.Picture(4032, 3024, 48), &jpeg.Options{Quality: 90}); err != nil {
		return nil, err
	}
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "IMG_0001.jpg")
	if err == nil {
		_, err = part.Write(photo.Bytes())
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, err
	}
	send := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.addr+"/api/upload/image", bytes.NewReader(body.Bytes()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", form.FormDataContentType())
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%d %.200s (%w)", res.StatusCode, answer, err)
		}
		return nil
	}
	res := uploadsResult{Bytes: photo.Len()}
	var all histogram
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(t.measure)
	for range t.conns {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				start := time.Now()
				err := send()
				mu.Lock()
				if err != nil {
					res.Failed++
					res.Why = err.Error()
				} else {
					res.Photos++
					all.add(time.Since(start))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	res.Took = all.report()
	return res, ctx.Err()
}
