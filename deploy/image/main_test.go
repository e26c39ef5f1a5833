package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const date = "2026-01-02T03:04:05Z"

// pack runs the program on a small binary and returns the archive's name.
func pack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, file := filepath.Join(dir, "binary"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(binary, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(options{arch: "arm64", version: "v1.2.3", commit: "c0ffee"}, date, []string{binary, file}); err != nil {
		t.Fatal(err)
	}
	return file
}

// each calls visit with each entry of a tar archive.
func each(t *testing.T, r io.Reader, visit func(*tar.Header, []byte)) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		visit(header, content)
	}
}

// image reads the archive as an OCI layout.
func image(t *testing.T, file string) v1.Image {
	t.Helper()
	dir := t.TempDir()
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	each(t, opened, func(header *tar.Header, content []byte) {
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 1 || list.Manifests[0].Platform.String() != "linux/arm64" {
		t.Fatalf("%+v, %v", list, err)
	}
	got, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLayersAndConfiguration(t *testing.T) {
	file := pack(t)
	built := image(t, file)
	layers, err := built.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var contents [][]string
	certificates := x509.NewCertPool()
	for _, layer := range layers {
		uncompressed, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var entries []string
		each(t, uncompressed, func(header *tar.Header, content []byte) {
			entries = append(entries, fmt.Sprintf("%s %d:%d %s", header.FileInfo().Mode(), header.Uid, header.Gid, header.Name))
			switch filepath.Base(header.Name) {
			case "ca-certificates.crt":
				if !certificates.AppendCertsFromPEM(content) || bytes.Count(content, []byte("BEGIN CERTIFICATE")) < 100 {
					t.Error("no certificates")
				}
			case "passwd":
				if !strings.Contains(string(content), "\nsohbet:x:65532:65532:") {
					t.Errorf("%s", content)
				}
			}
			if header.ModTime.UTC().Format("2006-01-02T15:04:05Z") != date {
				t.Errorf("%s is of %s", header.Name, header.ModTime)
			}
		})
		contents = append(contents, entries)
	}
	want := [][]string{{
		"drwx------ 65532:65532 data/", "drwxr-xr-x 0:0 etc/", "-rw-r--r-- 0:0 etc/group", "-rw-r--r-- 0:0 etc/passwd",
		"drwxr-xr-x 0:0 etc/ssl/", "drwxr-xr-x 0:0 etc/ssl/certs/", "-rw-r--r-- 0:0 etc/ssl/certs/ca-certificates.crt", "dtrwxrwxrwx 0:0 tmp/",
	}, {"-rwxr-xr-x 0:0 sohbet"}}
	if !reflect.DeepEqual(contents, want) {
		t.Errorf("%q", contents)
	}

	configured, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := configured.Config
	if c.User != "65532:65532" || !reflect.DeepEqual(c.Entrypoint, []string{"/sohbet"}) || !reflect.DeepEqual(c.Env, []string{"DATA_DIR=/data"}) ||
		c.Labels["org.opencontainers.image.version"] != "v1.2.3" || len(c.Volumes) != 1 || configured.Architecture != "arm64" {
		t.Errorf("%+v", configured)
	}

	// The same image in the form that older versions of Docker load.
	loaded, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := loaded.ConfigName()
	own, owned := built.ConfigName()
	if err != nil || owned != nil || id != own {
		t.Errorf("%v %v, %v %v", id, err, own, owned)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
	if err != nil || len(manifest) != 1 || !reflect.DeepEqual(manifest[0].RepoTags, []string{"sohbet:latest"}) {
		t.Errorf("%+v, %v", manifest, err)
	}
}

func TestSameArgumentsGiveTheSameArchive(t *testing.T) {
	one, err := os.ReadFile(pack(t))
	if err != nil {
		t.Fatal(err)
	}
	if another, err := os.ReadFile(pack(t)); err != nil || !bytes.Equal(one, another) {
		t.Errorf("%d and %d bytes, %v", len(one), len(another), err)
	}
}

func TestWrongArguments(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tc := range map[string]struct {
		date string
		args []string
	}{
		"no file": {date, []string{"binary"}}, "no date": {"", []string{"binary", "file"}}, "no binary": {date, []string{missing, missing + ".tar"}},
	} {
		if err := run(options{}, tc.date, tc.args); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
