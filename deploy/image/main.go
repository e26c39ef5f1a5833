// Command image packs a static Linux binary of Sohbet into a container image, without a daemon.
//
// Usage: image -arch ARCH -version VERSION -commit COMMIT -date DATE BINARY FILE
//
// FILE is an archive of an OCI image layout that `docker load` and `podman load` read. The same arguments give the same archive.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the id of the user and group that the program runs as, the same as in the image of deploy/Dockerfile.
const user = 65532

type options struct {
	arch, version, commit string
	date                  time.Time
}

func main() {
	var o options
	flag.StringVar(&o.arch, "arch", "amd64", "architecture of the binary")
	flag.StringVar(&o.version, "version", "dev", "version of the binary")
	flag.StringVar(&o.commit, "commit", "", "commit of the binary")
	date := flag.String("date", "", "date of the commit, RFC 3339")
	flag.Parse()
	if err := run(o, *date, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "deploy/image:", err)
		os.Exit(1)
	}
}

func run(o options, date string, args []string) (err error) {
	if len(args) != 2 {
		return errors.New("want the names of the binary and of the image's file")
	}
	if o.date, err = time.Parse(time.RFC3339, date); err != nil {
		return err
	}
	o.date = o.date.UTC()
	binary, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	image, err := build(o, binary)
	if err != nil {
		return err
	}
	return write(args[1], image, o)
}

// build returns the image: a layer with what the program expects of a system, and one with the program, so that an upgrade replaces only
// the latter.
func build(o options, binary []byte) (v1.Image, error) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	accounts := fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\nsohbet:x:%d:%[1]d:Sohbet:/data:/sbin/nologin\n", user)
	groups := fmt.Sprintf("root:x:0:\nsohbet:x:%d:\n", user)
	system := []entry{
		{name: "data/", mode: 0o700, owner: user},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: []byte(groups)},
		{name: "etc/passwd", mode: 0o644, content: []byte(accounts)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: roots.Bytes()},
		{name: "tmp/", mode: 0o1777},
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, entries := range [][]entry{system, {{name: "sohbet", mode: 0o755, content: binary}}} {
		layer, err := newLayer(entries, o.date)
		if err != nil {
			return nil, err
		}
		added := mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: v1.Time{Time: o.date}, CreatedBy: "deploy/image"}}
		if image, err = mutate.Append(image, added); err != nil {
			return nil, err
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", o.arch, v1.Time{Time: o.date}
	file.Config = v1.Config{
		User:         fmt.Sprintf("%d:%[1]d", user),
		Entrypoint:   []string{"/sohbet"},
		Env:          []string{"DATA_DIR=/data"},
		ExposedPorts: map[string]struct{}{"5000/tcp": {}},
		Volumes:      map[string]struct{}{"/data": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Sohbet",
			"org.opencontainers.image.version":  o.version,
			"org.opencontainers.image.revision": o.commit,
			"org.opencontainers.image.licenses": "MIT",
		},
	}
	return mutate.ConfigFile(image, file)
}

// entry is a file of a layer, or a folder if its name ends with a slash.
type entry struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

func newLayer(entries []entry, date time.Time) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, Size: int64(len(e.content)), ModTime: date, Typeflag: tar.TypeReg}
		if e.name[len(e.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// write writes the archive of an OCI layout, with the manifest.json of `docker save`, which Docker reads unless it uses containerd's store.
func write(path string, image v1.Image, o options) (err error) {
	folder, err := os.MkdirTemp("", "sohbet-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	index, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	names := map[string]string{"org.opencontainers.image.ref.name": "latest", "io.containerd.image.name": "docker.io/library/sohbet:latest"}
	platform := v1.Platform{OS: "linux", Architecture: o.arch}
	if err := index.AppendImage(image, layout.WithAnnotations(names), layout.WithPlatform(platform)); err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(d v1.Descriptor) string { return "blobs/sha256/" + d.Digest.Hex }
	saved := struct {
		Config           string
		RepoTags, Layers []string
	}{Config: blob(manifest.Config), RepoTags: []string{"sohbet:latest"}}
	for _, layer := range manifest.Layers {
		saved.Layers = append(saved.Layers, blob(layer))
	}
	list, err := json.Marshal([]any{saved})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "manifest.json"), list, 0o644); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(archive(file, os.DirFS(folder), o.date), file.Close())
}

// archive writes all files of a folder, in lexical order and with one date.
func archive(out io.Writer, folder fs.FS, date time.Time) error {
	w := tar.NewWriter(out)
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: date, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, w.Close())
}
