"""Changes simulated GPUs through nvidia-ml-py: MIG mode and instances on GPU 0 (an idle H100), refusals on the busy
GPU 1, faults, events. Argument: the simulation's folder."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import pynvml as n

FOLDER = sys.argv[1]


def same(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: seen {seen!r}, wanted {wanted!r}")


def code(call, *arguments):
    """The return code of a call: 0, or the error's."""
    try:
        call(*arguments)
    except n.NVMLError as error:
        return error.value
    return 0


def fault(gpu, *words):
    program = os.path.join(FOLDER, "share", "bin", "simgpu-fault")
    subprocess.run([program, "--gpu", str(gpu), *words], check=True)


def place(start, size):
    return ctypes.byref(n.c_nvmlGpuInstancePlacement_t(start, size))


def mig_mode():
    gpu, busy, card = (n.nvmlDeviceGetHandleByIndex(index) for index in (0, 1, 2))
    same("MIG on a busy GPU", n.nvmlDeviceSetMigMode(busy, 1), n.NVML_ERROR_IN_USE)
    same("its modes", n.nvmlDeviceGetMigMode(busy), [0, 1])
    same("MIG on a card that cannot", code(n.nvmlDeviceSetMigMode, card, 1), n.NVML_ERROR_NOT_SUPPORTED)
    same("instances without MIG", code(n.nvmlDeviceCreateGpuInstance, gpu, 19), n.NVML_ERROR_NOT_SUPPORTED)
    fault(0, "reset-required", "on")
    same("MIG before a reset", n.nvmlDeviceSetMigMode(gpu, 1), n.NVML_ERROR_RESET_REQUIRED)
    fault(0, "clear")
    same("MIG", n.nvmlDeviceSetMigMode(gpu, 1), 0)
    same("its modes", n.nvmlDeviceGetMigMode(gpu), [1, 1])


def instances():
    gpu = n.nvmlDeviceGetHandleByIndex(0)
    make = n.nvmlDeviceCreateGpuInstanceWithPlacement
    same("a start that is none", code(make, gpu, 9, place(2, 4)), n.NVML_ERROR_INVALID_ARGUMENT)
    same("a size that is none", code(make, gpu, 9, place(0, 3)), n.NVML_ERROR_INVALID_ARGUMENT)
    three = make(gpu, 9, place(0, 4))
    same("an overlap", code(make, gpu, 19, place(3, 1)), n.NVML_ERROR_INSUFFICIENT_RESOURCES)
    same("all of it", code(n.nvmlDeviceCreateGpuInstance, gpu, 0), n.NVML_ERROR_INSUFFICIENT_RESOURCES)
    same("room for 1g", n.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, 19), 3)
    one = n.nvmlDeviceCreateGpuInstance(gpu, 19)
    same("the driver's choice", n.nvmlGpuInstanceGetInfo(one).placement.start, 6)
    compute = n.nvmlGpuInstanceCreateComputeInstance(three, 2)
    same("a second one", code(n.nvmlGpuInstanceCreateComputeInstance, three, 0), n.NVML_ERROR_INSUFFICIENT_RESOURCES)
    device = n.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0)
    same("name", n.nvmlDeviceGetName(device), "NVIDIA H100 80GB HBM3 MIG 3g.40gb")
    same("an instance with compute", code(n.nvmlGpuInstanceDestroy, three), n.NVML_ERROR_IN_USE)
    same("MIG off", code(n.nvmlDeviceSetMigMode, gpu, 0), n.NVML_ERROR_IN_USE)
    n.nvmlComputeInstanceDestroy(compute)
    same("a handle whose device is gone", code(n.nvmlDeviceGetName, device), n.NVML_ERROR_NOT_FOUND)
    n.nvmlGpuInstanceDestroy(three)
    n.nvmlGpuInstanceDestroy(one)
    same("MIG off", n.nvmlDeviceSetMigMode(gpu, 0), 0)


def faults():
    gpu = n.nvmlDeviceGetHandleByIndex(3)
    fault(3, "lost", "on")
    same("a lost GPU", code(n.nvmlDeviceGetName, gpu), n.NVML_ERROR_GPU_IS_LOST)
    fault(3, "clear")
    fault(3, "slow", "200")
    began = time.monotonic()
    n.nvmlDeviceGetName(gpu)
    same("a slow call takes its time", 0.2 <= time.monotonic() - began < 2, True)
    fault(3, "clear")
    fault(3, "not-supported", "nvmlDeviceGetPowerUsage")
    same("a scripted refusal", code(n.nvmlDeviceGetPowerUsage, gpu), n.NVML_ERROR_NOT_SUPPORTED)
    fault(3, "clear")
    fault(3, "ecc", "7", "2")
    same("ECC", (n.nvmlDeviceGetTotalEccErrors(gpu, 0, 0), n.nvmlDeviceGetTotalEccErrors(gpu, 1, 0)), (7, 2))
    fault(3, "say", "--temperature", "88")
    same("temperature", n.nvmlDeviceGetTemperature(gpu, 0), 88)


def sticky():
    fault(3, "sticky-handle", "on")
    user = os.path.join(FOLDER, "share", "bin", "simgpu-use")
    process = subprocess.Popen([user, "--gpu", "3", "--memory", "3GiB"], stdout=subprocess.PIPE)
    process.stdout.readline()
    gpu = n.nvmlDeviceGetHandleByIndex(3)
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(0.05)  # the library looks at the process table at most every 20 ms
    left = n.nvmlDeviceGetComputeRunningProcesses(gpu)
    same("what stuck", [entry.usedGpuMemory for entry in left], [3 << 30])
    same("of no process there is", os.path.exists(f"/proc/{left[0].pid}"), False)
    fault(3, "clear")
    time.sleep(0.05)
    same("after mending", n.nvmlDeviceGetComputeRunningProcesses(gpu), [])


def events():
    gpu = n.nvmlDeviceGetHandleByIndex(3)
    events = n.nvmlEventSetCreate()
    n.nvmlDeviceRegisterEvents(gpu, n.nvmlEventTypeXidCriticalError, events)
    began = time.monotonic()
    same("nothing", code(n.nvmlEventSetWait, events, 300), n.NVML_ERROR_TIMEOUT)
    same("a wait lasts", time.monotonic() - began >= 0.29, True)
    fault(4, "xid", "13")  # of a GPU that is not registered
    threading.Timer(0.2, lambda: fault(3, "xid", "79")).start()
    event = n.nvmlEventSetWait(events, 5000)
    same("XID", (event.eventType, event.eventData), (n.nvmlEventTypeXidCriticalError, 79))
    same("its GPU", n.nvmlDeviceGetIndex(event.device), 3)
    n.nvmlEventSetFree(events)


def main():
    n.nvmlInit()
    mig_mode()
    instances()
    faults()
    sticky()
    events()
    n.nvmlShutdown()


main()
