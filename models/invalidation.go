package models

// Invalidator passes cache invalidations between processes that share a database. Without it a process notices changes of others only
// later: threads within CacheTTL, blocks, sessions, agents and settings within pollInterval. The methods must not block.
type Invalidator interface {
	// Current reports whether this process is notified immediately when others change a thread. Only then threads are cached.
	Current() bool
	// Changed is called after a commit that changed a thread. Commits of the writer are left out: messages and moved marks are published
	// anyway, and the receiver of those calls [Store.Forget].
	Changed(threadID string)
	// Notify is called after a commit that changed something other than threads, with one of the topics below. In the other processes it
	// calls the functions subscribed to the topic.
	Notify(topic string)
	Subscribe(topic string, fn func())
}

// Topics of an [Invalidator].
const (
	TopicSecurity = "security" // blocks, sessions, agents or settings
	TopicOutbox   = "outbox"   // rows are waiting to be sent
	TopicRetry    = "retry"    // waiting outbox rows may be retried at once
	TopicSettings = "settings"
	TopicThreads  = "threads" // all of them
	TopicJobs     = "jobs"    // a job was added
)

// SetInvalidator sets the invalidator, before the store is used.
func (s *Store) SetInvalidator(i Invalidator) {
	i.Subscribe(TopicSecurity, s.poller.soon)
	i.Subscribe(TopicOutbox, func() { s.outboxChanged(false) })
	i.Subscribe(TopicRetry, func() { s.outboxChanged(true) })
	i.Subscribe(TopicThreads, s.cache.forgetAll)
	i.Subscribe(TopicJobs, s.jobStarted)
	s.invalidator.Store(&i)
}

// notify notifies the other processes of a change.
func (s *Store) notify(topic string) {
	if i := s.invalidator.Load(); i != nil {
		(*i).Notify(topic)
	}
}

// Forget evicts a thread from the cache after another process changed it.
func (s *Store) Forget(threadID string) { s.cache.forget(threadID) }

// ForgetAll evicts every thread from the cache, for when notifications may have been missed.
func (s *Store) ForgetAll() { s.cache.forgetAll() }
