package cluster

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// presenceMost is how many visitors one script is asked about.
const presenceMost = 500

// presence tells the other processes which visitors are here. Each process has a set of them in Redis; that it lives is known
// by its beats. When they end the set is taken over by whoever notices first, who tells of the visitors that have not come back
// elsewhere meanwhile.
type presence struct {
	mu   sync.Mutex
	ops  []presenceOp
	wake chan struct{}
}

type presenceOp struct {
	visitor string // hidden
	mode    string // of presenceScript
	done    func() // unless the visitor is elsewhere
}

func (p *presence) init() { p.wake = make(chan struct{}, 1) }

// presenceScript adds visitors to this process's set ("+"), takes them out ("-") or does neither ("?"), and answers for each
// whether another process has it.
// KEYS: the processes. ARGV: what sets' names begin with, this process, mode, visitors.
var presenceScript = redis.NewScript(`
local mine, answers = ARGV[1] .. ARGV[2], {}
local processes = redis.call('ZRANGE', KEYS[1], 0, -1)
for i = 4, #ARGV do
  if ARGV[3] == '+' then redis.call('SADD', mine, ARGV[i]) end
  if ARGV[3] == '-' then redis.call('SREM', mine, ARGV[i]) end
  local elsewhere = 0
  for _, p in ipairs(processes) do
    if p ~= ARGV[2] and redis.call('SISMEMBER', ARGV[1] .. p, ARGV[i]) == 1 then elsewhere = 1 break end
  end
  answers[i - 3] = elsewhere
end
redis.call('EXPIRE', mine, 60)
return answers`)

// beatScript notes that this process lives, and answers whether that was known and who has not said so for long.
// KEYS: the processes. ARGV: what sets' names begin with, this process, seconds.
var beatScript = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
local known = redis.call('ZSCORE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('EXPIRE', KEYS[1], 60)
redis.call('EXPIRE', ARGV[1] .. ARGV[2], 60)
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], 0, now - ARGV[3])
table.insert(answer, 1, known and '1' or '0')
return answer`)

// inheritScript takes a process off the list, for the first who asks, and answers which of its visitors are nowhere else.
// KEYS: the processes. ARGV: what sets' names begin with, the process.
var inheritScript = redis.NewScript(`
local lost = {}
if redis.call('ZREM', KEYS[1], ARGV[2]) == 0 then return lost end
local processes = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, visitor in ipairs(redis.call('SMEMBERS', ARGV[1] .. ARGV[2])) do
  local elsewhere = false
  for _, p in ipairs(processes) do
    if redis.call('SISMEMBER', ARGV[1] .. p, visitor) == 1 then elsewhere = true break end
  end
  if not elsewhere then lost[#lost + 1] = visitor end
end
redis.call('DEL', ARGV[1] .. ARGV[2])
return lost`)

func (c *Cluster) id() string { return strconv.FormatUint(c.self, 36) }

// Arrived notes that the first socket of a thread's visitor is here, and calls fresh unless another process has one.
func (c *Cluster) Arrived(thread string, fresh func()) { c.here.queue(c, thread, "+", fresh) }

// Departed notes that the last one has gone, and calls gone unless another process has one.
func (c *Cluster) Departed(thread string, gone func()) { c.here.queue(c, thread, "-", gone) }

func (p *presence) queue(c *Cluster, thread, mode string, done func()) {
	visitor, ok := c.names.thread(thread)
	if !ok || !c.up.Load() { // when Redis is back it is told who is here then
		done()
		return
	}
	p.mu.Lock()
	p.ops = append(p.ops, presenceOp{visitor, mode, done})
	p.mu.Unlock()
	rouse(p.wake)
}

// tellHere queues that all visitors who are here are.
func (c *Cluster) tellHere() {
	p := &c.here
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, thread := range c.source.VisitorsHere() {
		if visitor, ok := c.names.thread(thread); ok {
			p.ops = append(p.ops, presenceOp{visitor, "+", nil})
		}
	}
	rouse(p.wake)
}

// take returns operations of one kind, in their order.
func (p *presence) take() []presenceOp {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.ops) && n < presenceMost && p.ops[n].mode == p.ops[0].mode {
		n++
	}
	taken := p.ops[:n:n]
	if p.ops = p.ops[n:]; len(p.ops) == 0 {
		p.ops = nil
	}
	return taken
}

// keepPresence tells who comes and goes, and that this process lives.
func (c *Cluster) keepPresence() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.here.wake:
			c.tellPresence()
		case <-tick.C:
			if c.up.Load() {
				c.beat()
			}
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Cluster) tellPresence() {
	for ops := c.here.take(); len(ops) > 0; ops = c.here.take() {
		visitors := make([]string, len(ops))
		for i, op := range ops {
			visitors[i] = op.visitor
		}
		elsewhere := c.elsewhere(c.ctx, ops[0].mode, visitors)
		for i, op := range ops {
			if !elsewhere[i] {
				call(op.done)
			}
		}
	}
}

// elsewhere runs presenceScript; whoever cannot be asked has nobody.
func (c *Cluster) elsewhere(ctx context.Context, mode string, visitors []string) []bool {
	answers := make([]bool, len(visitors))
	if !c.up.Load() {
		return answers
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	args := make([]any, 0, 3+len(visitors))
	args = append(args, c.names.visitors(), c.id(), mode)
	for _, v := range visitors {
		args = append(args, v)
	}
	found, err := presenceScript.Run(ctx, c.redis, []string{c.names.processes()}, args...).Int64Slice()
	if err != nil {
		c.log.Debug("cluster: visitors of other processes are not known", "error", err)
		return answers
	}
	for i := range min(len(found), len(answers)) {
		answers[i] = found[i] == 1
	}
	return answers
}

// Online reports for each thread whether another process has its visitor.
func (c *Cluster) Online(ctx context.Context, threads []string) []bool {
	answers := make([]bool, len(threads))
	visitors, places := make([]string, 0, len(threads)), make([]int, 0, len(threads))
	for i, thread := range threads {
		if v, ok := c.names.thread(thread); ok {
			visitors, places = append(visitors, v), append(places, i)
		}
	}
	for len(visitors) > 0 {
		n := min(len(visitors), presenceMost)
		for i, there := range c.elsewhere(ctx, "?", visitors[:n]) {
			answers[places[i]] = there
		}
		visitors, places = visitors[n:], places[n:]
	}
	return answers
}

// beat says that this process lives, and looks after those that do not any more.
func (c *Cluster) beat() {
	ctx, cancel := context.WithTimeout(c.ctx, answerTimeout)
	defer cancel()
	answer, err := beatScript.Run(ctx, c.redis, []string{c.names.processes()}, c.names.visitors(), c.id(), int(beatLost.Seconds())).StringSlice()
	if err == nil {
		err = c.redis.Publish(ctx, c.names.all(), (&packet{kind: kindBeat, from: c.self}).encode(nil)).Err()
	}
	if err != nil {
		c.log.Debug("cluster: no beat", "error", err)
		return
	}
	if len(answer) == 0 || answer[0] == "0" { // Redis began anew, or this process was taken for dead
		c.tellHere()
	}
	if time.Since(time.UnixMilli(c.since.Load())) < 2*beatLost {
		return // after an outage everybody has been silent
	}
	if c.others.lost() { // it may have stored what it could not tell any more
		rouse(c.step)
	}
	for _, process := range answer[min(1, len(answer)):] {
		if process == c.id() {
			continue
		}
		lost, err := inheritScript.Run(ctx, c.redis, []string{c.names.processes()}, c.names.visitors(), process).StringSlice()
		if err != nil {
			c.log.Debug("cluster: visitors of a process that ended are not known", "error", err)
			return
		}
		if len(lost) > 0 {
			c.log.Info("visitors of another process that ended have not come back", "visitors", len(lost))
		}
		c.working.Go(func() { // there may be thousands, and the beats must not wait
			for _, visitor := range lost {
				if thread, ok := c.names.id(visitor); ok && c.ctx.Err() == nil {
					c.source.Lost(c.ctx, thread)
				}
			}
		})
	}
}
