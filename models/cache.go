package models

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	gocache "github.com/patrickmn/go-cache"
)

const (
	cachedThreads   = 20_000
	cachedPages     = 512
	cachedPageBytes = 64 << 10 // a larger page is read from the database each time
	cachedPageSize  = 100      // messages
)

// cache holds thread rows and the newest page of messages. A value read from the database is stored only if the thread has not changed
// since before the read began (see ticket), so a slow reader cannot overwrite a newer value with an older one.
type cache struct {
	threads, pages *gocache.Cache // nil when caching is off
	seed           maphash.Seed
	shards         [64]shard
	hits, misses   atomic.Int64
	invalidator    *atomic.Pointer[Invalidator] // may be unset
}

type shard struct {
	mu      sync.Mutex
	changes uint64
}

// ticket identifies the state of a shard before a read, to detect changes made during it.
type ticket struct {
	shard   *shard
	changes uint64
}

// page holds the newest messages of a thread, oldest first.
type page struct {
	messages []Message
	more     bool // older ones exist
}

func newCache(ttl time.Duration, invalidator *atomic.Pointer[Invalidator]) *cache {
	c := &cache{seed: maphash.MakeSeed(), invalidator: invalidator}
	if ttl > 0 {
		c.threads = gocache.New(ttl, ttl)
		c.pages = gocache.New(ttl, ttl)
	}
	return c
}

func (c *cache) shard(threadID string) *shard {
	return &c.shards[maphash.String(c.seed, threadID)%uint64(len(c.shards))]
}

// ticket must be called before the database is read.
func (c *cache) ticket(threadID string) ticket {
	s := c.shard(threadID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return ticket{shard: s, changes: s.changes}
}

func (c *cache) thread(id string) (Thread, bool) {
	if c.threads != nil {
		if v, ok := c.threads.Get(id); ok {
			c.hits.Add(1)
			return v.(Thread), true
		}
	}
	c.misses.Add(1)
	return Thread{}, false
}

func (c *cache) page(threadID string) (page, bool) {
	if c.pages != nil {
		if v, ok := c.pages.Get(threadID); ok {
			c.hits.Add(1)
			return v.(page), true
		}
	}
	c.misses.Add(1)
	return page{}, false
}

func (c *cache) keepThread(t ticket, row Thread) {
	if c.threads == nil {
		return
	}
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.shard.changes == t.changes && c.keeps() {
		put(c.threads, row.ID, row, cachedThreads)
	}
}

func (c *cache) keepPage(t ticket, threadID string, p page) {
	if c.pages == nil {
		return
	}
	size := 0
	for i := range p.messages {
		m := &p.messages[i]
		size += 200 + len(m.ContentText) + len(m.FilePath) + len(m.FileURL)
	}
	if size > cachedPageBytes {
		return
	}
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.shard.changes == t.changes && c.keeps() {
		put(c.pages, threadID, p, cachedPages)
	}
}

// keeps reports whether threads may be cached.
func (c *cache) keeps() bool {
	i := c.invalidator.Load()
	return i == nil || (*i).Current()
}

// changed evicts a thread after a commit that modified it, and notifies the other processes.
func (c *cache) changed(threadID string) {
	c.forget(threadID)
	if i := c.invalidator.Load(); i != nil {
		(*i).Changed(threadID)
	}
}

// forget evicts a thread.
func (c *cache) forget(threadID string) {
	s := c.shard(threadID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if c.threads != nil {
		c.threads.Delete(threadID)
		c.pages.Delete(threadID)
	}
}

// forgetAll evicts everything.
func (c *cache) forgetAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.changes++
		s.mu.Unlock()
	}
	if c.threads != nil {
		c.threads.Flush()
		c.pages.Flush()
	}
}

// wrote replaces a thread row after a commit; the ticket is from before the transaction. If the thread was changed by another writer
// meanwhile, it is unknown which row is newer, so the thread is evicted.
func (c *cache) wrote(t ticket, row Thread) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	undisturbed := t.shard.changes == t.changes
	t.shard.changes++
	if c.threads == nil {
		return
	}
	c.pages.Delete(row.ID)
	if undisturbed && c.keeps() {
		put(c.threads, row.ID, row, cachedThreads)
	} else {
		c.threads.Delete(row.ID)
	}
}

// put stores a value and enforces the size limit: a full cache drops expired entries, and if that frees nothing, all of them. Refilling
// costs one indexed read per thread.
func put(c *gocache.Cache, key string, value any, limit int) {
	if c.ItemCount() >= limit {
		if c.DeleteExpired(); c.ItemCount() >= limit {
			c.Flush()
		}
	}
	c.SetDefault(key, value)
}
