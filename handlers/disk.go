package handlers

// DiskFree tells how many bytes may still be written to the disk of a folder.
func DiskFree(dir string) func() (uint64, error) {
	return func() (uint64, error) {
		free, _, err := diskUse(dir)
		return free, err
	}
}
