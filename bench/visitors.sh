#!/usr/bin/env bash
# Usage: bench/visitors.sh [VISITORS] [more flags of bench/load]
# Builds the whole server, lets that many visitors (10,000) sit in it with heartbeats and typing while twenty write and a
# signed-in agent listens, and prints one line of JSON: memory, CPU, latency of messages. Everything stays on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/.."
visitors=${1:-10000}
shift || true

work=$(mktemp -d "${TMPDIR:-/tmp}/sohbet-visitors.XXXXXX")
server=''
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null && wait "$server" || true
  rm -rf "$work"
}
trap stop EXIT
make --no-print-directory build BIN="$work/sohbet" >/dev/null
go build -trimpath -buildvcs=false -o "$work/load" ./bench/load

HOST=127.0.0.1 PORT=0 DATA_DIR=$work/data LOG_FORMAT=json RATE_LIMIT_MESSAGE=off RATE_LIMIT_API=off RATE_LIMIT_LOGIN=off \
  "$work/sohbet" >"$work/log" 2>&1 &
server=$!
logged() { # PATTERN: the part of the log in brackets, once it is there
  for _ in $(seq 200); do
    sed -n "s/.*$1.*/\\1/p" "$work/log" | tail -1 | grep . && return
    sleep 0.1
  done
  echo "not in the server's log: $1" >&2
  return 1
}
url=$(logged '"listening","address":"\([^"]*\)"')
json='Content-Type: application/json'
curl -sf -c "$work/cookies" -H "$json" -d '{}' "$url/request-otp" >/dev/null
code=$(logged '"code":"\([0-9]*\)"')
curl -sf -b "$work/cookies" -c "$work/cookies" -H "$json" -d "{\"otp\":\"$code\"}" "$url/verify-otp" >/dev/null
cookie=$(awk 'NF == 7 { printf "%s%s=%s", sep, $6, $7; sep = "; " }' "$work/cookies")

"$work/load" -mode visitors -addr "${url#http://}" -pid "$server" -cookie "$cookie" -conns "$visitors" "$@"
