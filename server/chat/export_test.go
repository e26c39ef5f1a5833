package chat

import "time"

// SetPageEvery makes pages be noted more often than any visitor needs.
func SetPageEvery(s *Service, every time.Duration) { s.pages.every = every }
