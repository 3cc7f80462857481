#!/usr/bin/env bash
# Agents run on old nodes: no symbol newer than GLIBC 2.34.
set -euo pipefail
agent=${1:-$(dirname "$0")/../target/debug/muster-agent}
newest=$(objdump -T "$agent" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -n 1)
echo "newest GLIBC symbol: $newest"
[ "$(printf '%s\n2.34\n' "$newest" | sort -V | tail -n 1)" = 2.34 ] || {
  objdump -T "$agent" | grep -E "GLIBC_2\.(3[5-9]|[4-9][0-9])"
  exit 1
}
