#!/usr/bin/env bash
# Usage: .ci/services bench/scale.sh [VISITORS] [ROUNDS]
# What several processes bring and cost, on this machine, which clients, PostgreSQL and Redis share with them. Prints lines of
# JSON: messages written by 24 visitors and heard by an agent, with one process without Redis and one, two and three with it, in
# turns (ROUNDS, 3); then VISITORS (10,000) on three processes of which one is killed. Everything stays on 127.0.0.1.
# Other binaries can be compared with this one: SOHBET_BINARIES="name=path …" runs the first lines with each of them too, in turns.
# SOHBET_PROCESSES ("0 1 2 3") are the numbers of processes, 0 for one without Redis; SOHBET_LOAD ("-conns 24 -depth 4") is the load.
set -euo pipefail
cd "$(dirname "$0")/.."
visitors=${1:-10000}
rounds=${2:-3}
: "${SOHBET_TEST_POSTGRES:?run this through .ci/services}" "${SOHBET_TEST_REDIS:?run this through .ci/services}"

work=$(mktemp -d "${TMPDIR:-/tmp}/sohbet-scale.XXXXXX")
servers=()
halt() {
  for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${servers[@]}"; do wait "$pid" 2>/dev/null || true; done
  servers=()
}
trap 'halt; rm -rf "$work"' EXIT
[ -n "${SOHBET_BIN:-}" ] || make --no-print-directory build BIN="$work/sohbet" >/dev/null
go build -trimpath -buildvcs=false -o "$work/load" ./bench/load
key=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

logged() { # FILE PATTERN: the part of the log in brackets, once it is there
  for _ in $(seq 300); do
    sed -n "s/.*$2.*/\\1/p" "$1" | tail -1 | grep . && return
    sleep 0.1
  done
  echo "not in the server's log: $2" >&2
  return 1
}

# open PROCESSES [BINARY] starts them on an empty schema; with REDIS set, as one chat.
open() {
  local n=$1 binary=${2:-${SOHBET_BIN:-$work/sohbet}} schema=scale_$RANDOM$RANDOM i
  psql -qX -c "CREATE SCHEMA $schema" "$SOHBET_TEST_POSTGRES"
  addresses='' pids=''
  for i in $(seq "$n"); do
    HOST=127.0.0.1 PORT=0 DATA_DIR=$work/data LOG_FORMAT=json RATE_LIMIT_MESSAGE=off RATE_LIMIT_API=off RATE_LIMIT_LOGIN=off \
      SECRET_KEY=$key DATABASE_URL="$SOHBET_TEST_POSTGRES&search_path=$schema" REDIS_URL=${REDIS:-} "$binary" >"$work/log$i" 2>&1 &
    servers+=($!)
    pids+=,$!
    addresses+=,$(logged "$work/log$i" '"listening","address":"http:\/\/\([^"]*\)"')
  done
  addresses=${addresses#,} pids=${pids#,}
  for i in ${addresses//,/ }; do curl -sf -o /dev/null "http://$i/"; done # which makes the pages' files
  local url=http://${addresses%%,*} json='Content-Type: application/json' code
  curl -sf -c "$work/cookies" -H "$json" -d '{}' "$url/request-otp" >/dev/null
  code=$(logged "$work/log1" '"code":"\([0-9]*\)"')
  curl -sf -b "$work/cookies" -c "$work/cookies" -H "$json" -d "{\"otp\":\"$code\"}" "$url/verify-otp" >/dev/null
  cookie=$(awk 'NF == 7 { printf "%s%s=%s", sep, $6, $7; sep = "; " }' "$work/cookies")
}

redis_cpu() { redis-cli --no-auth-warning -u "$SOHBET_TEST_REDIS" info cpu | tr -d '\r' | awk -F: '/^used_cpu_(user|sys):/ { s += $2 } END { print s }'; }

messages() { # NAME
  local redis result
  redis=$(redis_cpu)
  result=$("$work/load" -mode messages -addr "$addresses" -pid "$pids" -cookie "$cookie" ${SOHBET_LOAD:--conns 24 -depth 4} -database "$postmaster" -warm 0s -measure 5s)
  printf '{"run":"%s","redis_cpu_s":%s,"result":%s}\n' "$1" "$(awk "BEGIN { print $(redis_cpu) - $redis }")" "$result"
  halt
}

postmaster=$(psql -qXAtc "SELECT pg_read_file('postmaster.pid')" "$SOHBET_TEST_POSTGRES" | head -1)
for _ in $(seq "$rounds"); do
  for n in ${SOHBET_PROCESSES:-0 1 2 3}; do
    what="$n with Redis" REDIS=$SOHBET_TEST_REDIS
    [ "$n" -gt 0 ] || what='1 process without Redis' REDIS='' n=1
    for other in '' ${SOHBET_BINARIES:-}; do
      open "$n" "${other#*=}"
      messages "${other%%=*}${other:+, }$what"
    done
  done
done
[ "$visitors" -gt 0 ] || exit 0
ulimit -n "$(ulimit -Hn)"
REDIS=$SOHBET_TEST_REDIS
open 3
printf '{"run":"one of 3 killed","result":%s}\n' \
  "$("$work/load" -mode return -addr "$addresses" -pid "$pids" -conns "$visitors" -database "$postmaster" -measure 3s)"
