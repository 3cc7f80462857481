"""Compares what nvidia-ml-py, nvitop and gpustat see with the scenario. Arguments: the simulation's folder, the
pid on GPU 1, the UUID of the MIG device in use, the pid on it."""

import ctypes
import json
import os
import subprocess
import sys

import pynvml as n

GIB, MIB = 1 << 30, 1 << 20
# Name, memory in MiB, MIG (None: cannot).
EXPECTED = [
    ("NVIDIA H100 80GB HBM3", 81559, False),
    ("NVIDIA H100 80GB HBM3", 81559, False),
    ("Tesla T4", 15360, None),
    ("NVIDIA L40S", 46068, None),
    ("NVIDIA A100-SXM4-40GB", 40960, False),
    ("NVIDIA H200", 143771, False),
    ("NVIDIA A100-SXM4-80GB", 81920, True),
]
# Profile, GPU instance id, memory in MiB, start, size, SMs.
INSTANCES = {
    "3g.40gb": (1, 40192, 0, 4, 42),
    "2g.20gb": (5, 19968, 4, 2, 28),
    "1g.10gb+me": (13, 9728, 6, 1, 14),
}
# Id, memory slices, starts, most instances: the table of the hardware.
PROFILES = {
    0: (19, 1, [0, 1, 2, 3, 4, 5, 6], 7),
    7: (20, 1, [0, 1, 2, 3, 4, 5, 6], 1),
    9: (15, 2, [0, 2, 4, 6], 4),
    1: (14, 2, [0, 2, 4], 3),
    2: (9, 4, [0, 4], 2),
    3: (5, 4, [0], 1),
    4: (0, 8, [0], 1),
}


def same(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: seen {seen!r}, wanted {wanted!r}")


def refused(what, call):
    try:
        call()
    except n.NVMLError_NotSupported:
        return
    sys.exit(f"{what}: answered, but such a card does not")


def nvidia_ml_py(scenario, whole, mig_uuid, part):
    n.nvmlInit()
    same("driver", n.nvmlSystemGetDriverVersion(), scenario["driver_version"])
    same("CUDA", n.nvmlSystemGetCudaDriverVersion_v2(), scenario["cuda_version"])
    same("count", n.nvmlDeviceGetCount(), len(EXPECTED))
    for index, (name, memory, mig) in enumerate(EXPECTED):
        gpu = n.nvmlDeviceGetHandleByIndex(index)
        uuid = scenario["gpus"][index]["uuid"]
        same("name", n.nvmlDeviceGetName(gpu), name)
        same("uuid", n.nvmlDeviceGetUUID(gpu), uuid)
        same("by uuid", n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(uuid)), index)
        bus = n.nvmlDeviceGetPciInfo(gpu).busId
        same("by bus", n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId(bus)), index)
        same("memory", n.nvmlDeviceGetMemoryInfo(gpu).total, memory * MIB)
        same("temperature twice", n.nvmlDeviceGetTemperatureV(gpu, 0), n.nvmlDeviceGetTemperature(gpu, 0))
        if mig is None:
            refused("MIG mode", lambda: n.nvmlDeviceGetMigMode(gpu))
        else:
            same("MIG", n.nvmlDeviceGetMigMode(gpu), [int(mig), int(mig)])
        refused("fan", lambda: n.nvmlDeviceGetFanSpeed(gpu))
    busy = n.nvmlDeviceGetHandleByIndex(1)
    same("utilisation", n.nvmlDeviceGetUtilizationRates(busy).gpu, 70)
    listed = [(p.pid, p.usedGpuMemory) for p in n.nvmlDeviceGetComputeRunningProcesses(busy)]
    same("processes", listed, [(whole, 4 * GIB)])
    nvidia_ml_py_mig(mig_uuid, part)
    n.nvmlShutdown()


def nvidia_ml_py_mig(mig_uuid, part):
    gpu = n.nvmlDeviceGetHandleByIndex(6)
    refused("utilisation under MIG", lambda: n.nvmlDeviceGetUtilizationRates(gpu))
    seen = {}
    for index in range(n.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            device = n.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
        except n.NVMLError_NotFound:
            continue
        profile = n.nvmlDeviceGetName(device).rsplit(" MIG ")[1]
        instance = n.nvmlDeviceGetGpuInstanceId(device)
        info = n.nvmlGpuInstanceGetInfo(n.nvmlDeviceGetGpuInstanceById(gpu, instance))
        total = n.nvmlDeviceGetMemoryInfo(device).total // MIB
        units = n.nvmlDeviceGetAttributes(device).multiprocessorCount
        seen[profile] = (instance, total, info.placement.start, info.placement.size, units)
    same("instances", seen, INSTANCES)
    device = n.nvmlDeviceGetHandleByUUID(mig_uuid)
    listed = [(p.pid, p.usedGpuMemory, p.gpuInstanceId) for p in n.nvmlDeviceGetComputeRunningProcesses(device)]
    same("processes of an instance", listed, [(part, 512 * MIB, 5)])
    for number, (profile, size, starts, most) in PROFILES.items():
        info = n.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, version=2)
        same("profile id", (info.id, info.instanceCount), (profile, most))
        count, places = ctypes.c_uint(), (n.c_nvmlGpuInstancePlacement_t * 16)()
        n.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, profile, places, ctypes.byref(count))
        placed = [(place.start, place.size) for place in places[: count.value]]
        same("placements", placed, [(start, size) for start in starts])


def nvitop(scenario, whole, part):
    import nvitop as peer

    devices = peer.Device.all()
    same("nvitop: GPUs", [d.uuid() for d in devices], [gpu["uuid"] for gpu in scenario["gpus"]])
    same("nvitop: memory", [d.memory_total() // MIB for d in devices], [memory for _, memory, _ in EXPECTED])
    same("nvitop: utilisation", [d.gpu_utilization() for d in devices[:2]], [0, 70])
    same("nvitop: no figure under MIG", devices[6].gpu_utilization(), peer.NA)
    same("nvitop: instances", len(devices[6].mig_devices()), len(INSTANCES))
    same("nvitop: process", {pid: p.gpu_memory() for pid, p in devices[1].processes().items()}, {whole: 4 * GIB})
    same("nvitop: in an instance", sorted(devices[6].processes()), [part])
    screen = subprocess.run([sys.executable, "-m", "nvitop", "--once"], capture_output=True, text=True, check=True)
    for word in ("H100 80GB HBM3", "3g.40gb @ GI/CI: 1/0", "4096MiB", str(whole)):
        same(f"nvitop's screen has {word}", word in screen.stdout, True)


def gpustat(scenario, whole):
    gpustat_program = os.path.join(os.path.dirname(sys.executable), "gpustat")
    told = json.loads(subprocess.run([gpustat_program, "--json"], capture_output=True, check=True).stdout)
    same("gpustat: GPUs", [g["uuid"] for g in told["gpus"]], [gpu["uuid"] for gpu in scenario["gpus"]])
    same("gpustat: names", [g["name"] for g in told["gpus"]], [name for name, _, _ in EXPECTED])
    same("gpustat: process", [(p["pid"], p["gpu_memory_usage"]) for p in told["gpus"][1]["processes"]], [(whole, 4096)])
    same("gpustat: no figure under MIG", told["gpus"][6]["utilization.gpu"], None)


def main():
    folder, whole, mig_uuid, part = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    with open(os.path.join(folder, "share", "scenario.json"), encoding="utf-8") as file:
        scenario = json.load(file)
    nvidia_ml_py(scenario, whole, mig_uuid, part)
    nvitop(scenario, whole, part)
    gpustat(scenario, whole)


main()
