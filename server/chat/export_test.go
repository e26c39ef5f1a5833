package chat

import "time"

// SetPageEvery sets how often a visitor's page changes are stored.
func SetPageEvery(s *Service, every time.Duration) { s.pages.every = every }
