// Package disk tells how much room is left on the disk of the data folder, and when that is too little to write to.
package disk

// Free tells how many bytes may still be written to the disk of a folder.
func Free(dir string) func() (uint64, error) {
	return func() (uint64, error) {
		free, _, err := Usage(dir)
		return free, err
	}
}
