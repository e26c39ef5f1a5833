package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cloudinary/cloudinary-go/v2/api"
	"github.com/cloudinary/cloudinary-go/v2/api/admin"
	"github.com/cloudinary/cloudinary-go/v2/api/uploader"
	"github.com/cloudinary/cloudinary-go/v2/config"
	"github.com/cloudinary/cloudinary-go/v2/logger"
	"github.com/sony/gobreaker/v2"

	"sohbet/models"
)

// Cloud configures a Cloudinary account.
type Cloud struct {
	Name, Key, Secret string
	Prefix            string // base URL of its upload API, without trailing slash
}

const (
	placeCloud = "cloudinary"

	cloudTimeout       = 10 * time.Second // of a short call
	cloudUploadTimeout = 25 * time.Second
	cloudRest          = time.Minute // how long no call is attempted after two failures
	cloudChecked       = time.Minute // how long the result of a check is cached
)

// cloudFolders and cloudTypes say how kinds are stored; documents are stored on this machine. Cloudinary treats audio as video.
var (
	cloudFolders = map[Kind]string{Image: "chat_images", Audio: "chat_audio"}
	cloudTypes   = map[Kind]api.AssetType{Image: api.Image, Audio: api.Video}
)

// cloud is a Cloudinary account. While it fails, a circuit breaker keeps uploads from waiting for it.
type cloud struct {
	Cloud
	up      *uploader.API
	admin   *admin.API
	breaker *gobreaker.CircuitBreaker[struct{}]
	fetcher *http.Client
	now     func() time.Time

	mu      sync.Mutex
	checked time.Time
	result  error
}

func newCloud(o Options) (*cloud, error) {
	c, log, now := o.Cloud, o.Log, o.Now
	conf, err := config.NewFromParams(c.Name, c.Key, c.Secret)
	if err != nil {
		return nil, fmt.Errorf("cloudinary: %w", err)
	}
	conf.API.UploadPrefix = c.Prefix
	conf.API.Timeout, conf.API.UploadTimeout = int64(cloudTimeout/time.Second), int64(cloudUploadTimeout/time.Second)
	up, err := uploader.NewWithConfiguration(conf)
	if err != nil {
		return nil, fmt.Errorf("cloudinary: %w", err)
	}
	manage, err := admin.NewWithConfiguration(conf)
	if err != nil {
		return nil, fmt.Errorf("cloudinary: %w", err)
	}
	up.Logger.SetLevel(logger.NONE) // errors are returned, and logged here
	manage.Logger.SetLevel(logger.NONE)
	fetcher := &http.Client{Timeout: time.Minute}
	if o.Observe != nil {
		observed := o.Observe(http.DefaultTransport)
		up.Client.Transport, manage.Client.Transport, fetcher.Transport = observed, observed, observed
	}
	breaker := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "cloudinary", Timeout: cloudRest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= 2 },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				log.Warn("Cloudinary is not working; files are kept on this machine", slog.Duration("tried_again_in", cloudRest))
			case gobreaker.StateClosed:
				log.Info("Cloudinary is working again")
			}
		},
	})
	return &cloud{Cloud: c, up: up, admin: manage, breaker: breaker, now: now, fetcher: fetcher}, nil
}

// call performs one call, unless the circuit breaker is open.
func (c *cloud) call(f func() error) error {
	_, err := c.breaker.Execute(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// refused converts an error response to an error.
func refused(e api.ErrorResp) error {
	if e.Message == "" {
		return nil
	}
	return fmt.Errorf("cloudinary refuses: %s", e.Message)
}

// upload sends a checked file and sets the URL from which it is delivered.
func (c *cloud) upload(ctx context.Context, e *inspected, id string, u *models.Upload) error {
	kind := Kind(u.Kind)
	return c.call(func() error {
		f, err := e.body.rewind()
		if err != nil {
			return err
		}
		r, err := c.up.Upload(ctx, f, uploader.UploadParams{
			PublicID: id, Folder: cloudFolders[kind], ResourceType: cloudTypes[kind].String(), Overwrite: api.Bool(false),
		})
		if err == nil {
			err = refused(r.Error)
		}
		if err == nil {
			err = c.describe(r, u)
		}
		return err
	})
}

// describe fills in a record from Cloudinary's description of a file.
func (c *cloud) describe(r *uploader.UploadResult, u *models.Upload) error {
	before, after, ok := strings.Cut(r.SecureURL, "/upload/")
	if !ok || !strings.HasPrefix(before, c.delivery()+"/") || r.PublicID == "" {
		return errors.New("cloudinary: an answer without a usable address")
	}
	u.Place, u.Path, u.Size = placeCloud, r.PublicID, int64(r.Bytes)
	u.Width, u.Height = r.Width, r.Height
	if Kind(u.Kind) == Audio {
		// f_auto selects among video formats only. MP3 plays in all browsers, which their own recordings do not.
		u.Width, u.Height, u.Type = 0, 0, "audio/mpeg"
		if dot := strings.LastIndexByte(after, '.'); dot > 0 {
			after = after[:dot]
		}
		u.URL = before + "/upload/q_auto/" + after + ".mp3"
	} else {
		u.URL = before + "/upload/f_auto,q_auto/" + after
		u.ThumbURL = before + fmt.Sprintf("/upload/c_limit,h_%d,w_%d/f_auto,q_auto/", thumbSize, thumbSize) + after
	}
	return nil
}

// destroy deletes a file. It is not an error if there is none.
func (c *cloud) destroy(ctx context.Context, u models.Upload) error {
	return c.call(func() error {
		r, err := c.up.Destroy(ctx, uploader.DestroyParams{
			PublicID: u.Path, ResourceType: cloudTypes[Kind(u.Kind)].String(), Type: "upload", Invalidate: api.Bool(true),
		})
		if err == nil {
			err = refused(r.Error)
		}
		if err == nil && r.Result != "ok" && r.Result != "not found" {
			err = fmt.Errorf("cloudinary: deleting gave %q", r.Result)
		}
		return err
	})
}

// fetch reads a file from Cloudinary.
func (c *cloud) fetch(ctx context.Context, u models.Upload) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.URL, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.fetcher.Do(req)
	if err != nil {
		var outer *url.Error // its message contains the file's URL
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, fmt.Errorf("cloudinary: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("cloudinary: fetching a file returned status %d", res.StatusCode), res.Body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, 4*limits[Kind(u.Kind)]), res.Body}, nil
}

// check verifies that the account works; the result is cached for cloudChecked.
func (c *cloud) check(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.checked).Abs() < cloudChecked {
		return c.result
	}
	r, err := c.admin.Ping(ctx)
	if err == nil {
		err = refused(r.Error)
	}
	if err == nil && r.Status != "ok" {
		err = errors.New("cloudinary: unexpected response for the account")
	}
	c.checked, c.result = c.now(), err
	return err
}

// uploaded reports whether a URL is of a file uploaded to the account. The URLs of files that Cloudinary fetches from elsewhere can be
// forged by anyone.
func (c *cloud) uploaded(url string) bool {
	path, ok := strings.CutPrefix(url, c.delivery()+"/"+c.Name+"/")
	if !ok || strings.Contains(path, "..") {
		return false
	}
	kind, rest, _ := strings.Cut(path, "/")
	return (kind == "image" || kind == "video" || kind == "raw") && strings.HasPrefix(rest, "upload/") && !strings.Contains(rest, "l_fetch:")
}

// delivery returns the origin from which browsers load files.
func (c *cloud) delivery() string {
	u, err := url.Parse(c.Prefix)
	if err != nil || strings.HasSuffix(u.Hostname(), ".cloudinary.com") {
		return "https://res.cloudinary.com"
	}
	return u.Scheme + "://" + u.Host
}

// CheckCloud reports whether Cloudinary is configured, and its current error.
func (s *Service) CheckCloud(ctx context.Context) (on bool, err error) {
	if s.cloud == nil {
		return false, nil
	}
	return true, s.cloud.check(ctx)
}

// Origins returns the origins from which browsers load files, and to which they may upload, besides this server.
func (c Cloud) Origins() (load, send []string) {
	if c.Name == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Prefix)
	if err != nil {
		return nil, nil
	}
	return []string{(&cloud{Cloud: c}).delivery()}, []string{u.Scheme + "://" + u.Host}
}
