#!/usr/bin/env bash
# Has programs of other people list the simulated GPUs: nvidia-ml-py, nvitop and gpustat from PyPI, unchanged.
# Fails if one of them sees anything else than the scenario says.
#
#   tests/peers/nvml_clients.sh [DIR-WITH-BUILT-FILES]      (default: target/debug)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
built=$(cd "${1:-$root/target/debug}" && pwd)
venv=${MUSTER_PEERS_DIR:-$root/target/peers}/nvml-clients
packages="nvidia-ml-py==13.615.71 nvitop==1.7.2 gpustat==1.1.1"

if [ "$(cat "$venv/packages" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    # shellcheck disable=SC2086  # the versions are words
    "$venv/bin/pip" --quiet --disable-pip-version-check install $packages
    printf '%s' "$packages" >"$venv/packages"
fi

dir=$(mktemp -d)
users=()
finish() {
    for pid in "${users[@]}"; do
        kill -9 "$pid" && wait "$pid" || true
    done 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT

"$built/simgpu-init" "$dir" --gpu 'h100*2' --gpu t4 --gpu l40s --gpu a100-40 --gpu h200 \
    --gpu 'a100-80:3g.40gb@0,2g.20gb@4,1g.10gb+me@6' >/dev/null
export LD_LIBRARY_PATH=$dir/share
mig=$("$dir/share/bin/simgpu-smi" -L | sed -n 's/.*MIG 2g.20gb.*UUID: \(.*\))/\1/p')

# Two programs on GPUs; each says a line when it stands in the process table.
use() {
    coproc USER_PROGRAM { exec "$dir/share/bin/simgpu-use" "$@"; }
    users+=("$USER_PROGRAM_PID")
    read -r _ <&"${USER_PROGRAM[0]}"
}
use --gpu 1 --memory 4GiB --load 70 2>/dev/null
whole=${users[0]}
use --gpu "$mig" --memory 512MiB --load 30 2>/dev/null
part=${users[1]}

"$venv/bin/python" "$root/tests/peers/nvml_clients.py" "$dir" "$whole" "$mig" "$part"
"$venv/bin/python" "$root/tests/peers/nvml_changes.py" "$dir"

# A process that is killed leaves the table, and its memory is free.
kill -9 "$whole"
wait "$whole" 2>/dev/null || true
"$venv/bin/python" - <<'PY'
import pynvml as n

n.nvmlInit()
gpu = n.nvmlDeviceGetHandleByIndex(1)
assert n.nvmlDeviceGetComputeRunningProcesses(gpu) == [], "a killed process is still listed"
assert n.nvmlDeviceGetUtilizationRates(gpu).gpu == 0, "a killed process still works"
PY

# Without any environment the library still finds its GPUs, as programs in cells have to.
[ "$(env -i LD_LIBRARY_PATH="$dir/share" "$venv/bin/python" -c \
    'import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetCount())')" = 7 ] || {
    echo "no GPUs without an environment" >&2
    exit 1
}

# Only GPUs whose device file can be opened are listed.
rm "$dir/dev/nvidia0"
[ "$("$dir/share/bin/simgpu-smi" -L | grep -c '^GPU')" = 6 ] || { echo "a GPU without device file is listed" >&2; exit 1; }
echo "nvml clients: all agree"
