package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/semver"

	"sohbet/server/config"
)

const (
	releaseTimeout = 10 * time.Second
	maxRelease     = 1 << 20 // bytes
)

func (p Program) version() *cobra.Command {
	check := false
	c := &cobra.Command{
		Use: "version", Short: "Print version, commit and date", Args: exactly(0, "nothing more"), Example: "  sohbet version --check",
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := fmt.Fprintln(c.OutOrStdout(), "sohbet", p.VersionLine); err != nil || !check {
				return err
			}
			text, err := p.compareRelease(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().BoolVar(&check, "check", false, "also ask RELEASE_URL whether there is a newer release")
	return c
}

// compareRelease says how the latest release compares with this version.
func (p Program) compareRelease(ctx context.Context) (string, error) {
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return "", err
	}
	if cfg.ReleaseURL == "" {
		return "", errors.New(Text("RELEASE_URL is not set; it is the address at which the latest release is described"))
	}
	latest, err := latestRelease(ctx, cfg.ReleaseURL)
	if err != nil {
		return "", err
	}
	own := afterTag.ReplaceAllString(p.Version, "")
	switch {
	case !semver.IsValid(own):
		return fmt.Sprintf(Text("the latest release is %s; this build has no release number to compare"), latest), nil
	case semver.Compare(latest.tag, own) > 0:
		return fmt.Sprintf(Text("a newer release is available: %s"), latest), nil
	}
	return fmt.Sprintf(Text("no newer release is available: the latest is %s"), latest), nil
}

// afterTag matches what `git describe` appends to the tag of an earlier commit; in semantic versions it would mean a pre-release of the tag.
var afterTag = regexp.MustCompile(`(-\d+-g[0-9a-f]+)?(-dirty)?$`)

// release is a published release; page is the address of its description, or "".
type release struct{ tag, page string }

func (r release) String() string {
	if r.page == "" {
		return r.tag
	}
	return r.tag + " (" + r.page + ")"
}

// latestRelease fetches the description of the latest release. Errors name only the host of the address, which may contain a token.
func latestRelease(ctx context.Context, address string) (release, error) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return release{}, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sohbet") // GitHub refuses requests without one
	host := r.URL.Host
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return release{}, fmt.Errorf(Text("the latest release cannot be fetched from %s: %w"), host, err)
	}
	defer func() { _ = res.Body.Close() }() // the body was read as far as needed
	if res.StatusCode != http.StatusOK {
		return release{}, fmt.Errorf(Text("the latest release cannot be fetched from %s: the response has status %d"), host, res.StatusCode)
	}
	var described struct {
		Tag  string `json:"tag_name"`
		Page string `json:"html_url"` // of GitHub and Forgejo
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxRelease)).Decode(&described); err != nil || !semver.IsValid(described.Tag) {
		return release{}, fmt.Errorf(Text("the response of %s does not describe a release"), host)
	}
	found := release{tag: described.Tag}
	if page, err := url.Parse(described.Page); err == nil && page.Host != "" && (page.Scheme == "https" || page.Scheme == "http") {
		found.page = page.String() // without control characters
	}
	return found, nil
}
