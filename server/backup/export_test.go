package backup

// AfterSnapshot sets what happens in backups between the snapshot of the database and the packing of files, until the returned function is
// called.
func AfterSnapshot(f func()) (restore func()) {
	afterSnapshot = f
	return func() { afterSnapshot = func() {} }
}
