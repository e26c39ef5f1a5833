package broker

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sohbet/server/signal"
)

// presenceMost is the maximum number of visitors per script call.
const presenceMost = 500

// presence shares with the other processes which visitors are connected here. Each process has a set of visitors in Redis and sends
// heartbeats. When the heartbeats stop, the first process to notice takes over the set and reports the visitors that have not
// reconnected elsewhere as offline.
type presence struct {
	mu   sync.Mutex
	ops  []presenceOp
	wake signal.Signal
}

type presenceOp struct {
	visitor string // encrypted thread id
	mode    string // argument of presenceScript
	done    func() // called unless another process has the visitor
}

// presenceScript adds visitors to this process's set ("+"), removes them ("-") or leaves it unchanged ("?"), and returns for each
// whether another process has it.
// KEYS: the set of processes. ARGV: prefix of the visitor sets, this process, mode, visitors.
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

// heartbeatScript stores a heartbeat of this process, and returns whether the process was registered, followed by the processes whose
// heartbeats have stopped.
// KEYS: the set of processes. ARGV: prefix of the visitor sets, this process, seconds without a heartbeat.
var heartbeatScript = redis.NewScript(`
local now = tonumber(redis.call('TIME')[1])
local known = redis.call('ZSCORE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('EXPIRE', KEYS[1], 60)
redis.call('EXPIRE', ARGV[1] .. ARGV[2], 60)
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], 0, now - ARGV[3])
table.insert(answer, 1, known and '1' or '0')
return answer`)

// inheritScript removes a process that stopped and returns those of its visitors that no other process has. Only the first caller gets
// them.
// KEYS: the set of processes. ARGV: prefix of the visitor sets, the process.
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

func (r *Redis) id() string { return strconv.FormatUint(r.self, 36) }

// Arrived records that a thread's visitor has a first socket here, and calls first unless another process has one.
func (r *Redis) Arrived(thread string, first func()) { r.presence.queue(r, thread, "+", first) }

// Departed records that the last socket is gone, and calls last unless another process has one.
func (r *Redis) Departed(thread string, last func()) { r.presence.queue(r, thread, "-", last) }

func (p *presence) queue(r *Redis, thread, mode string, done func()) {
	visitor, ok := r.names.thread(thread)
	if !ok || !r.up.Load() { // after reconnecting, reportAll reports all visitors
		done()
		return
	}
	p.mu.Lock()
	p.ops = append(p.ops, presenceOp{visitor, mode, done})
	p.mu.Unlock()
	p.wake.Set()
}

// reportAll queues a report of all visitors connected here.
func (r *Redis) reportAll() {
	p := &r.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, thread := range r.local.Visitors.VisitorsHere() {
		if visitor, ok := r.names.thread(thread); ok {
			p.ops = append(p.ops, presenceOp{visitor, "+", nil})
		}
	}
	p.wake.Set()
}

// take removes consecutive operations of the same mode from the queue.
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

// runPresence reports arrivals and departures and sends heartbeats.
func (r *Redis) runPresence() {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.presence.wake:
			r.reportPresence()
		case <-tick.C:
			if r.up.Load() {
				r.heartbeat()
			}
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Redis) reportPresence() {
	for ops := r.presence.take(); len(ops) > 0; ops = r.presence.take() {
		visitors := make([]string, len(ops))
		for i, op := range ops {
			visitors[i] = op.visitor
		}
		elsewhere := r.elsewhere(r.ctx, ops[0].mode, visitors)
		for i, op := range ops {
			if !elsewhere[i] {
				call(op.done)
			}
		}
	}
}

// elsewhere runs presenceScript and returns for each visitor whether another process has it; false if Redis is unavailable.
func (r *Redis) elsewhere(ctx context.Context, mode string, visitors []string) []bool {
	answers := make([]bool, len(visitors))
	if !r.up.Load() {
		return answers
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	args := make([]any, 0, 3+len(visitors))
	args = append(args, r.names.visitors(), r.id(), mode)
	for _, v := range visitors {
		args = append(args, v)
	}
	found, err := presenceScript.Run(ctx, r.client, []string{r.names.processes()}, args...).Int64Slice()
	if err != nil {
		r.log.Debug("broker: failed to query presence", "error", err)
		return answers
	}
	for i := range min(len(found), len(answers)) {
		answers[i] = found[i] == 1
	}
	return answers
}

// Online reports for each thread whether another process has its visitor.
func (r *Redis) Online(ctx context.Context, threads []string) []bool {
	answers := make([]bool, len(threads))
	visitors, places := make([]string, 0, len(threads)), make([]int, 0, len(threads))
	for i, thread := range threads {
		if v, ok := r.names.thread(thread); ok {
			visitors, places = append(visitors, v), append(places, i)
		}
	}
	for len(visitors) > 0 {
		n := min(len(visitors), presenceMost)
		for i, there := range r.elsewhere(ctx, "?", visitors[:n]) {
			answers[places[i]] = there
		}
		visitors, places = visitors[n:], places[n:]
	}
	return answers
}

// heartbeat sends a heartbeat, and takes over the visitors of crashed processes.
func (r *Redis) heartbeat() {
	ctx, cancel := context.WithTimeout(r.ctx, answerTimeout)
	defer cancel()
	answer, err := heartbeatScript.Run(ctx, r.client, []string{r.names.processes()}, r.names.visitors(), r.id(), int(heartbeatLost.Seconds())).StringSlice()
	if err == nil {
		err = r.client.Publish(ctx, r.names.all(), (&packet{kind: kindHeartbeat, from: r.self}).encode(nil)).Err()
	}
	if err != nil {
		r.log.Debug("broker: failed to send a heartbeat", "error", err)
		return
	}
	if len(answer) == 0 || answer[0] == "0" { // Redis lost its data, or this process was taken for crashed
		r.reportAll()
	}
	if r.since.ago() < 2*heartbeatLost {
		return // right after an outage all heartbeats are old
	}
	if r.peers.lost() { // a crashed process may have stored messages that it did not announce
		r.missed.Set()
	}
	for _, process := range answer[min(1, len(answer)):] {
		if process == r.id() {
			continue
		}
		lost, err := inheritScript.Run(ctx, r.client, []string{r.names.processes()}, r.names.visitors(), process).StringSlice()
		if err != nil {
			r.log.Debug("broker: failed to take over the visitors of a stopped process", "error", err)
			return
		}
		if len(lost) > 0 {
			r.log.Info("visitors of a stopped process have not reconnected", "visitors", len(lost))
		}
		r.working.Go(func() { // there may be thousands, which must not delay heartbeats
			for _, visitor := range lost {
				if thread, ok := r.names.id(visitor); ok && r.ctx.Err() == nil {
					r.local.Visitors.Lost(r.ctx, thread)
				}
			}
		})
	}
}
