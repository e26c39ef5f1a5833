package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
)

// Brand is the branding shown on visitors' pages.
type Brand struct {
	assets.Brand // Logo and Avatar are URLs

	logo, avatar picture
}

// picture is a file of DATA_DIR that pages show.
type picture struct {
	body       []byte
	mime, hash string
}

const maxPicture = 1 << 20 // bytes

// pictureTypes are the allowed image types by file extension. The content has to match, except for SVG, which has no signature.
var pictureTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".svg": "image/svg+xml",
}

// NewBrand reads the logo and avatar files named by b from dir and sets Logo and Avatar to their URLs; base is the server's URL path
// prefix. Its errors name the setting.
func NewBrand(dir, base string, b assets.Brand) (Brand, error) {
	brand := Brand{Brand: b}
	for _, p := range []struct {
		setting, path string
		address       *string
		into          *picture
	}{
		{"BRAND_LOGO", "/brand/logo", &brand.Logo, &brand.logo}, {"AGENT_AVATAR", "/brand/avatar", &brand.Avatar, &brand.avatar},
	} {
		if *p.address == "" || strings.HasPrefix(*p.address, "https://") {
			continue
		}
		var err error
		if *p.into, err = readPicture(dir, *p.address); err != nil {
			return Brand{}, fmt.Errorf("%s holds %q: %w", p.setting, *p.address, err)
		}
		*p.address = base + p.path + "?v=" + p.into.hash
	}
	return brand, nil
}

// readPicture reads a picture that is inside dir, also after following symbolic links.
func readPicture(dir, name string) (picture, error) {
	mime := pictureTypes[strings.ToLower(filepath.Ext(name))]
	if mime == "" {
		return picture{}, errors.New("want a file that ends in .png, .jpg, .webp, .gif or .svg")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return picture{}, fmt.Errorf("open DATA_DIR: %w", err)
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return picture{}, fmt.Errorf("there is no such picture in DATA_DIR: %w", err)
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(io.LimitReader(f, maxPicture+1))
	switch {
	case err != nil:
		return picture{}, fmt.Errorf("read it: %w", err)
	case len(body) > maxPicture:
		return picture{}, errors.New("want a picture of at most 1 MB")
	case mime == "image/svg+xml" && !bytes.Contains(body, []byte("<svg")), mime != "image/svg+xml" && http.DetectContentType(body) != mime:
		return picture{}, fmt.Errorf("not a valid %s picture", strings.TrimPrefix(mime, "image/"))
	}
	sum := sha256.Sum256(body)
	return picture{body: body, mime: mime, hash: hex.EncodeToString(sum[:6])}, nil
}

// origins returns the external origins from which the pictures are loaded.
func (b Brand) origins() []string {
	var list []string
	for _, address := range []string{b.Logo, b.Avatar} {
		if u, err := url.Parse(address); err == nil && u.Scheme == "https" {
			list = append(list, "https://"+u.Host)
		}
	}
	return list
}

// BrandStyle serves BRAND_COLOR, or the colours in the query, as CSS custom properties for the pages.
func (a *API) BrandStyle(c echo.Context) error {
	color := a.look.Load().Brand.Color
	if color == "" && c.QueryParam("color") == "" {
		return errNotFound
	}
	assets.BrandStyle(color).ServeHTTP(c.Response(), c.Request())
	return nil
}

// BrandPicture serves the logo or the avatar, if it is a file of this server.
func (a *API) BrandPicture(c echo.Context) error {
	brand := a.look.Load().Brand
	p := brand.logo
	if strings.HasSuffix(c.Path(), "avatar") {
		p = brand.avatar
	}
	if p.body == nil {
		return errNotFound
	}
	h := c.Response().Header()
	h.Set("Content-Type", p.mime)
	h.Set("Content-Security-Policy", uploadPolicy) // an SVG opened directly must not run scripts
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "no-cache")
	if c.QueryParam("v") == p.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+p.hash+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(p.body))
	return nil
}
