#!/usr/bin/env bash
# Usage: bench/visitors.sh [VISITORS] [more flags of bench/load]
# Builds the whole server, lets that many visitors (10,000) sit in it with heartbeats and typing while twenty write and a
# signed-in agent listens, and prints one line of JSON: memory, CPU, latency of messages. Everything stays on 127.0.0.1.
#
# BOX=512M gives the server no more memory than that, by a control group, as a container does (needs root): the kernel kills it if it
# takes more. UPLOADS=4 sends photos of 12 megapixels all the while, so many at the same time. Both print a line of their own.
# SOHBET_BIN names a binary to use.
set -euo pipefail
cd "$(dirname "$0")/.."
visitors=${1:-10000}
shift || true

work=$(mktemp -d "${TMPDIR:-/tmp}/sohbet-visitors.XXXXXX")
server=''
box=''
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null && wait "$server" || true
  [ -z "$box" ] || rmdir "$box"
  rm -rf "$work"
}
trap stop EXIT
if [ -n "${SOHBET_BIN:-}" ]; then
  cp "$SOHBET_BIN" "$work/sohbet"
else
  make --no-print-directory build BIN="$work/sohbet" >/dev/null
fi
go build -trimpath -buildvcs=false -o "$work/load" ./bench/load

box_file() { # the group's file of this name in version 2 of control groups, or of that one in version 1
  if [ -e "$box/$1" ]; then echo "$box/$1"; else echo "$box/$2"; fi
}
if [ -n "${BOX:-}" ]; then
  top=/sys/fs/cgroup
  [ -e "$top/cgroup.controllers" ] || top=$top/memory
  box=$top/sohbet-$$
  mkdir "$box"
  echo "$BOX" >"$(box_file memory.max memory.limit_in_bytes)"
fi

# The shell enters the group and becomes the server.
HOST=127.0.0.1 PORT=0 DATA_DIR=$work/data LOG_FORMAT=json RATE_LIMIT_MESSAGE=off RATE_LIMIT_API=off RATE_LIMIT_LOGIN=off RATE_LIMIT_UPLOAD=off \
  sh -c '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; exec "$0"' "$work/sohbet" "$box" >"$work/log" 2>&1 &
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

photos=''
if [ -n "${UPLOADS:-}" ]; then
  "$work/load" -mode uploads -addr "${url#http://}" -conns "$UPLOADS" -measure "${UPLOAD_TIME:-60s}" &
  photos=$!
fi
"$work/load" -mode visitors -addr "${url#http://}" -pid "$server" -cookie "$cookie" -conns "$visitors" "$@"
[ -z "$photos" ] || wait "$photos"
if [ -n "$box" ]; then
  printf '{"box":"%s","peak_bytes":%s,"killed_by_kernel":%s,"health":%s}\n' "$BOX" \
    "$(cat "$(box_file memory.peak memory.max_usage_in_bytes)")" \
    "$(awk '$1 == "oom_kill" { print $2 }' "$(box_file memory.events memory.oom_control)")" "$(curl -s -b "$work/cookies" "$url/health")"
fi
