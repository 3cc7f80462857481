#!/usr/bin/env bash
# The units parse, and stay as closed as they were: exposure (0 to 100, lower is better) per unit.
set -euo pipefail
cd "$(dirname "$0")/../systemd"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Verification wants the programs to exist: stand-ins do.
mkdir -p "$work/usr/bin" "$work/etc/systemd/system" "$work/usr/lib/systemd/system"
cp ./*.service "$work/etc/systemd/system/"
for program in muster-coordinator muster-agent; do
  printf '#!/bin/sh\n' > "$work/usr/bin/$program"
  chmod +x "$work/usr/bin/$program"
done
cp -r /usr/lib/systemd/system/. "$work/usr/lib/systemd/system/" 2>/dev/null || cp -r /lib/systemd/system/. "$work/usr/lib/systemd/system/"

for unit in *.service; do
  # Complaints about other units of this machine are not ours.
  complaints=$(systemd-analyze verify --root="$work" --man=no "$unit" 2>&1 | grep -F "$unit" || true)
  [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
done

exposure() { # unit, most
  systemd-analyze security --offline=true --threshold="$2" --no-pager "$1" > "$work/report" 2>&1 || {
    cat "$work/report"
    echo "$1 is more exposed than $2"
    exit 1
  }
  tail -n 1 "$work/report"
}
exposure "$PWD/muster-coordinator.service" 15
exposure "$PWD/muster-agent.service" 25
exposure "$PWD/muster-agent-root.service" 90
