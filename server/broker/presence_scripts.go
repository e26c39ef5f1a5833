package broker

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A visitor is online while any registered process has them in its set. Each script changes that state for some visitors and numbers the
// change atomically, so that of two states of a visitor the newer one is known. All processes of one database use one key for
// the number; if Redis lost it, it goes on above the time and above the highest number that the calling process has seen.
const nextVersion = `
local function version(key, floor)
  local t = redis.call('TIME')
  local last = tonumber(redis.call('GET', key) or '0')
  local next = math.max(last + 1, tonumber(floor) + 1, t[1] * 1000000 + t[2])
  redis.call('SET', key, string.format('%.0f', next), 'EX', 86400)
  return next
end
local function has(prefix, process, visitors)
  return redis.call('SMISMEMBER', prefix .. process, unpack(visitors))
end
`

// presenceScript adds visitors to this process's set ("+") or removes them ("-"). It returns the version, whether this process was not
// registered, and for each visitor 1 if another process has them, plus 2 if the set was changed.
// KEYS: the set of processes, the version. ARGV: prefix of the visitor sets, this process, highest version known, modes and visitors.
var presenceScript = redis.NewScript(nextVersion + `
local mine, visitors, moved = ARGV[1] .. ARGV[2], {}, {}
for i = 4, #ARGV do
  local visitor = ARGV[i]:sub(2)
  visitors[i - 3] = visitor
  moved[i - 3] = redis.call(ARGV[i]:sub(1, 1) == '+' and 'SADD' or 'SREM', mine, visitor)
end
local answer = {version(KEYS[2], ARGV[3]), redis.call('ZADD', KEYS[1], 'NX', redis.call('TIME')[1], ARGV[2])}
for i = 1, #visitors do answer[i + 2] = 2 * moved[i] end
for _, p in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if p ~= ARGV[2] then
    for i, there in ipairs(has(ARGV[1], p, visitors)) do
      if there == 1 and answer[i + 2] % 2 == 0 then answer[i + 2] = answer[i + 2] + 1 end
    end
  end
end
redis.call('EXPIRE', mine, 60)
redis.call('EXPIRE', KEYS[1], 60)
return answer`)

// onlineScript returns the version of the last change, and for each visitor whether any process has them.
// KEYS: the set of processes, the version. ARGV: prefix of the visitor sets, highest version known, visitors.
var onlineScript = redis.NewScript(nextVersion + `
local last, visitors = tonumber(redis.call('GET', KEYS[2]) or '0'), {}
for i = 3, #ARGV do visitors[i - 2] = ARGV[i] end
if last < tonumber(ARGV[2]) then last = version(KEYS[2], ARGV[2]) end
local answer = {last}
for i = 1, #visitors do answer[i + 1] = 0 end
for _, p in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  for i, there in ipairs(has(ARGV[1], p, visitors)) do
    if there == 1 then answer[i + 1] = 1 end
  end
end
return answer`)

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

// inheritScript removes a process that stopped and returns the version, followed by those of its visitors that no other process has.
// Only the first caller gets them.
// KEYS: the set of processes, the version. ARGV: prefix of the visitor sets, the process, highest version known.
var inheritScript = redis.NewScript(nextVersion + `
if redis.call('ZREM', KEYS[1], ARGV[2]) == 0 then return {'0'} end
local answer, processes = {string.format('%.0f', version(KEYS[2], ARGV[3]))}, redis.call('ZRANGE', KEYS[1], 0, -1)
for _, visitor in ipairs(redis.call('SMEMBERS', ARGV[1] .. ARGV[2])) do
  local elsewhere = false
  for _, p in ipairs(processes) do
    if redis.call('SISMEMBER', ARGV[1] .. p, visitor) == 1 then elsewhere = true break end
  end
  if not elsewhere then answer[#answer + 1] = visitor end
end
redis.call('DEL', ARGV[1] .. ARGV[2])
return answer`)

// runScript runs a presence script that returns a version and then want numbers, and records the version.
func (r *Redis) runScript(ctx context.Context, s *redis.Script, want int, args ...any) (version int64, answers []int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := s.Run(ctx, r.client, []string{r.names.processes(), r.names.version()}, args...).Int64Slice()
	if err != nil {
		return 0, nil, err
	}
	if len(found) != 1+want {
		return 0, nil, fmt.Errorf("broker: a script returned %d numbers", len(found))
	}
	r.presence.view.seen(found[0])
	return found[0], found[1:], nil
}

// isOnline returns for each visitor whether any process has them, as of a version.
func (r *Redis) isOnline(ctx context.Context, visitors []string) (version int64, online []bool, err error) {
	args := make([]any, 0, 2+len(visitors))
	args = append(args, r.names.visitors(), r.presence.view.highest())
	for _, v := range visitors {
		args = append(args, v)
	}
	version, answers, err := r.runScript(ctx, onlineScript, len(visitors), args...)
	online = make([]bool, len(answers))
	for i, a := range answers {
		online[i] = a == 1
	}
	return version, online, err
}
