//go:build unix

package database

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// access returns a message naming the first SQLite file or folder that this process may not write; "" if there is none.
func access(path string) string {
	dir := filepath.Dir(path)
	// SQLite creates files in the folder, so a missing permission there only shows on the folder; a process that ran as another user
	// leaves its own files behind.
	for _, name := range []string{dir, path, path + "-wal", path + "-shm", path + "-journal"} {
		info, err := os.Stat(name)
		if err != nil {
			if name == dir {
				return "the folder " + dir + " cannot be used: " + errorText(err)
			}
			continue
		}
		rights := uint32(unix.R_OK | unix.W_OK)
		if info.IsDir() {
			rights |= unix.X_OK
		}
		if err := unix.Faccessat(unix.AT_FDCWD, name, rights, unix.AT_EACCESS); err != nil {
			return fmt.Sprintf("no permission to read and write %s: %s; it belongs to %s (mode %04o), and this program runs as %s",
				name, errorText(err), owner(info), info.Mode().Perm(), userName(os.Geteuid()))
		}
		if info.Mode().IsRegular() && name == path && !owned(info) {
			return fmt.Sprintf("%s belongs to %s, and this program runs as %s: change its owner to that user (chown)", name, owner(info), userName(os.Geteuid()))
		}
	}
	return ""
}

func errorText(err error) string {
	if path, ok := err.(*fs.PathError); ok {
		err = path.Err
	}
	return err.Error()
}

func owned(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || os.Geteuid() == 0 || int(st.Uid) == os.Geteuid()
}

func owner(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return userName(int(st.Uid))
	}
	return "another user"
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return "user " + u.Username
	}
	return "user id " + id
}
