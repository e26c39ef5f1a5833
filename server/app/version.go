package app

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build is the build information set by the linker, whose empty fields are filled from the VCS information that Go embeds, and the text of
// Sohbet's licence.
type Build struct{ Version, Commit, Date, License string }

func (b Build) version() string {
	if b.Version != "" {
		return b.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// line returns the version with the commit and its date.
func (b Build) line() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.time" && b.Date == "":
				b.Date = s.Value
			}
		}
	}
	return fmt.Sprintf("%s (commit %s, %s, %s)", b.version(), cmp.Or(b.Commit, "unknown"), cmp.Or(b.Date, "date unknown"), runtime.Version())
}
