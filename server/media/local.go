package media

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"sohbet/models"
)

const (
	urlPrefix   = "/uploads/"
	placeLocal  = "local"
	thumbFolder = "thumbs"
	// Incoming holds what is not checked yet; nothing is served from there, and backups leave it out.
	Incoming = "incoming"

	minFree  = 16 << 20 // bytes for files that are left before another is begun: more than any file has
	copySize = 32 << 10
)

var folders = map[Kind]string{Image: "images", Audio: "audio", Any: "files"}

// plainPath is the form of every path that this package gives out.
var plainPath = regexp.MustCompile(`^(images|audio|files|thumbs)/[a-z2-7]{26}\.[a-z0-9]{2,4}$`)

// localPath takes the path out of a URL of this server. ok is false for URLs of elsewhere; a URL of this server that nothing
// can be stored at gives "".
func localPath(url string) (name string, ok bool) {
	name, ok = strings.CutPrefix(url, urlPrefix)
	if ok && !plainPath.MatchString(name) {
		name = ""
	}
	return name, ok
}

// newName draws a name that nobody guesses: 130 bits.
func newName() string { return strings.ToLower(rand.Text()) }

// local keeps files in one folder. Every path goes through an os.Root, so none leads out of it.
type local struct {
	root *os.Root
	free func() (uint64, error)

	mu          sync.Mutex
	used, limit int64 // bytes, those still arriving included
}

func openLocal(dir string, limit int64, free func() (uint64, error)) (*local, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	for _, folder := range []string{Incoming, thumbFolder, folders[Image], folders[Audio], folders[Any]} {
		if err := root.MkdirAll(folder, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("uploads: %w", err), root.Close())
		}
	}
	l := &local{root: root, free: free, limit: limit}
	if err := l.count(); err != nil {
		return nil, errors.Join(fmt.Errorf("uploads: %w", err), root.Close())
	}
	return l, nil
}

// count adds up what lies in the folder.
func (l *local) count() error {
	return fs.WalkDir(l.root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			l.used += info.Size()
		}
		return err
	})
}

// take counts bytes that are about to be written and reports whether there is room for them.
func (l *local) take(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used+n > l.limit {
		return false
	}
	l.used += n
	return true
}

// give counts bytes that are gone.
func (l *local) give(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = max(0, l.used-n)
}

// part is a file that has no place yet. It is gone after discard, unless it was settled before.
type part struct {
	local   *local
	file    *os.File
	name    string
	size    int64 // what was written, and what is counted for it
	settled bool
}

func (l *local) create() (*part, error) {
	if free, err := l.free(); err == nil && free < minFree {
		return nil, errFull
	}
	name := path.Join(Incoming, newName())
	f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &part{local: l, file: f, name: name}, nil
}

// Write appends, as long as there is room for all files together.
func (p *part) Write(b []byte) (int, error) {
	if !p.local.take(int64(len(b))) {
		return 0, errFull
	}
	p.size += int64(len(b))
	return p.file.Write(b)
}

var buffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// receive writes r to disk while counting it.
func (l *local) receive(r io.Reader, limit int64) (*part, error) {
	p, err := l.create()
	if err != nil {
		return nil, err
	}
	buf := buffers.Get().(*[copySize]byte)
	n, err := io.CopyBuffer(p, onlyReader{io.LimitReader(r, limit+1)}, buf[:])
	buffers.Put(buf)
	if err == nil && n > limit {
		err = tooLarge(limit)
	}
	if err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

// onlyReader hides WriteTo, so that io.CopyBuffer uses the buffer it was given.
type onlyReader struct{ io.Reader }

// rewind returns the part as a file to be read from its start.
func (p *part) rewind() (*os.File, error) {
	_, err := p.file.Seek(0, io.SeekStart)
	return p.file, err
}

// settle makes the part durable under its path.
func (p *part) settle(to string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.local.root.Rename(p.name, to); err != nil {
		return err
	}
	p.settled = true
	return p.local.syncFolder(path.Dir(to))
}

// syncFolder makes a new name durable. Systems that cannot open folders for that need no such thing.
func (l *local) syncFolder(name string) error {
	d, err := l.root.Open(name)
	if err != nil {
		return err
	}
	_ = d.Sync() // refused on some systems, see above
	return d.Close()
}

// discard closes the part, and removes it unless it was settled. It may be called more than once.
func (p *part) discard() {
	if p.file == nil {
		return
	}
	_ = p.file.Close() // what counted was synced
	p.file = nil
	if p.settled {
		return
	}
	_ = p.local.root.Remove(p.name) // the sweep finds it otherwise
	p.local.give(p.size)
}

func (l *local) open(name string) (*os.File, error) {
	if !plainPath.MatchString(name) {
		return nil, os.ErrNotExist
	}
	return l.root.Open(name)
}

// remove deletes a file and counts its bytes as free; one that is gone already is no error.
func (l *local) remove(name string) error {
	info, err := l.root.Lstat(name)
	if err == nil {
		err = l.root.Remove(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		l.give(info.Size())
	}
	return err
}

// removeUpload deletes what a record has on this disk.
func (l *local) removeUpload(u models.Upload) error {
	for _, url := range []string{u.ThumbURL, u.URL} {
		if name, _ := localPath(url); name != "" {
			if err := l.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
