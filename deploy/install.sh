#!/usr/bin/env bash
# Installs Sohbet on Debian or Ubuntu with systemd, or upgrades it. Read it, then run it as root in a folder with the files of a release
# (sohbet-linux-amd64 or sohbet-linux-arm64, sohbet.service and SHA256SUMS; compare the latter's checksum with the release page):
#
#     sudo ./install.sh
#
# It downloads nothing, and
#   1. checks the binary and the unit against SHA256SUMS;
#   2. when it upgrades, writes a backup and the present binary to /var/backups/sohbet, replacing those of the last upgrade;
#   3. installs /usr/local/bin/sohbet and /usr/local/lib/systemd/system/sohbet.service, and the first time /etc/sohbet/config.env;
#   4. starts the service, also at every start of the machine, and waits until it is ready.
# It changes nothing if these files are installed already. Data is in /var/lib/sohbet and is not touched.
#
# With DESTDIR=FOLDER it installs below that folder, for an image of a machine: it needs no root there and starts nothing.
set -euo pipefail

fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }

destination=${DESTDIR:-}
binary=$destination/usr/local/bin/sohbet
unit=$destination/usr/local/lib/systemd/system/sohbet.service
settings=$destination/etc/sohbet/config.env
data=$destination/var/lib/sohbet
backups=$destination/var/backups/sohbet

[ -n "$destination" ] || [ "$(id -u)" = 0 ] || fail 'run it as root: sudo ./install.sh'
# shellcheck disable=SC1091 # a file of the machine
case " $(. /etc/os-release && echo "$ID ${ID_LIKE:-}") " in
  *' debian '* | *' ubuntu '*) ;;
  *) fail 'this script is for Debian and Ubuntu; the README has other ways to install Sohbet' ;;
esac
architecture=$(dpkg --print-architecture)
case $architecture in
  amd64 | arm64) ;;
  *) fail "there is no binary for $architecture; build it with: make build" ;;
esac
[ -n "$destination" ] || command -v systemctl >/dev/null || fail 'systemd is not installed'

# The files are checked as copies that no other user can change.
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=sohbet-linux-$architecture
for file in "$name" sohbet.service SHA256SUMS; do
  [ -f "$file" ] || fail "$file is not in $PWD"
  cp "$file" "$work/$file"
done
for file in "$name" sohbet.service; do
  grep -E "^[0-9a-f]{64} [ *]$file\$" "$work/SHA256SUMS" >"$work/sum" || fail "SHA256SUMS does not name $file"
  (cd "$work" && sha256sum --check --strict --status sum) || fail "$file is not the file that SHA256SUMS describes; download it again"
done

setting() { # NAME DEFAULT
  local value=''
  [ ! -f "$settings" ] || value=$(sed -n "s/^$1=//p" "$settings" | tail -n 1 | tr -d "\"'")
  echo "${value:-$2}"
}

# back_up keeps what an upgrade replaces. The present binary reads the present database, also while the server runs.
back_up() {
  install -d -m 700 "$backups"
  say "backing up to $backups"
  if [ -n "$(ls -A "$data" 2>/dev/null)" ] || [ -n "$(setting DATABASE_URL '')" ]; then
    rm -f "$backups/before-upgrade.new"
    (cd "$(dirname "$settings")" && DATA_DIR=$(setting DATA_DIR "$data") "$binary" backup "$backups/before-upgrade.new") ||
      fail 'the backup failed, so nothing was changed'
    mv "$backups/before-upgrade.new" "$backups/before-upgrade.sohbet"
  fi
  cp -p "$binary" "$backups/sohbet"
}

# ready reports whether the server says so within two minutes; migrating a large database may take longer.
ready() {
  local host port
  host=$(setting HOST 127.0.0.1) port=$(setting PORT 5000)
  [ "$host" != 0.0.0.0 ] || host=127.0.0.1
  for _ in $(seq 120); do
    sleep 1
    systemctl --quiet is-failed sohbet && return 1
    # shellcheck disable=SC2016 # expanded by the inner shell
    if timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3 && head -n 1 <&3' "${host//[\[\]]/}" "$port" 2>/dev/null | grep -q ' 200 '; then
      return
    fi
  done
  return 1
}

start() {
  if [ -n "$destination" ]; then
    say 'start the service on that machine: systemctl enable --now sohbet'
    return
  fi
  if [ ! -d /run/systemd/system ]; then # in a chroot
    systemctl --quiet enable sohbet
    say 'systemd does not run here; the service starts with the machine'
    return
  fi
  systemctl daemon-reload
  systemctl --quiet enable sohbet
  systemctl "$1" sohbet
  if ! ready; then
    [ -z "$upgrade" ] || say "To return to the former version: systemctl stop sohbet; cp $backups/sohbet $binary;
cd /etc/sohbet; DATA_DIR=$data sohbet restore --force $backups/before-upgrade.sohbet;
chown -R --reference=$data/. $data/.; systemctl start sohbet"
    fail 'the service is not ready; its log: journalctl -u sohbet'
  fi
  say "Sohbet is ready at http://$(setting HOST 127.0.0.1):$(setting PORT 5000)/"
}

upgrade='' first=''
if cmp -s "$work/$name" "$binary" && cmp -s "$work/sohbet.service" "$unit"; then
  say 'this version is installed already'
  start start
  exit
fi

if [ -e "$binary" ] && ! cmp -s "$work/$name" "$binary"; then
  upgrade=yes
  back_up
fi

install -d "$(dirname "$binary")" "$(dirname "$unit")" "$(dirname "$settings")"
install -m 755 "$work/$name" "$binary.new"
if [ ! -e "$settings" ]; then
  first=yes
  {
    printf '# A proxy with HTTPS on this machine serves Sohbet to others, such as Caddy with the Caddyfile of the release.\nHOST=127.0.0.1\nTRUSTED_PROXIES=127.0.0.1,::1\n\n'
    "$binary.new" settings
  } >"$work/config.env"
  install -m 600 "$work/config.env" "$settings"
fi
install -m 644 "$work/sohbet.service" "$unit"
mv "$binary.new" "$binary" # last, so that an installation that was interrupted is repeated
if [ -z "$destination" ] && [ -e /etc/systemd/system/sohbet.service ] && [ ! -L /etc/systemd/system/sohbet.service ]; then
  say 'note: /etc/systemd/system/sohbet.service, installed by hand, takes precedence over the unit of this version'
fi
say "installed $("$binary" version)"
start restart
if [ -n "$first" ]; then
  say "Settings are in $settings; after a change: systemctl restart sohbet
Sign-in codes are in the log, unless Telegram is set up: journalctl -u sohbet
Next: install Caddy, copy the Caddyfile of the release to /etc/caddy/Caddyfile, write your domain into it, and reload Caddy."
fi
