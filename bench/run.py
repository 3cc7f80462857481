#!/usr/bin/env python3
"""Runs the benchmarks against a release `muster demo` over TLS and writes bench/RESULTS.md.

Every figure stands beside a peer of the same run: ratios are what counts, since machines drift.
Usage: bench/run.py [quick] [PART...]   (parts: rest acts echo bulk open idle loaded; all without)"""
import concurrent.futures, json, os, pathlib, statistics, subprocess, sys, threading, time
import report
from peers import Telemetry, WarmSsh
from world import BINS, MUSTER, ROOT, WORK, World, at_rest, memory, run

QUICK = "quick" in sys.argv[1:]
PARTS = [word for word in sys.argv[1:] if word != "quick"]
ROWS = 10_000
TARGETS = ["tcp", "pty", "socat-tls", "ssh", "ssh-jump", "sshx"]


def spec(world, allocation):
    """Our target for terminal.py: /bin/sh as everywhere; its token is minted before each open, outside the timing."""
    minter = world.dir / "mint"
    minter.write_text(
        f"#!/bin/sh\nexec curl -s --cacert {world.ready['ca_file']} -X POST -H 'Content-Type: application/json' "
        f"-H \"Authorization: Bearer $({MUSTER} token)\" -d '{{\"command\":[\"/bin/sh\"]}}' "
        f"{world.ready['console_url']}/api/v1/allocations/{allocation}/terminal-token | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/'\n")
    minter.chmod(0o755)
    pidfiles = []
    for number, pid in enumerate(world.measured()):
        pidfiles.append(str(world.dir / f"pid{number}"))
        pathlib.Path(pidfiles[-1]).write_text(str(pid))
    path = world.dir / "ours.json"
    path.write_text(json.dumps({
        "port": int(world.ready["console_url"].rsplit(":", 1)[1]), "tls": True, "path": f"/ws/terminal/{allocation}",
        "pidfiles": pidfiles, "hello_cmd": [str(minter)],
        "hello": [{"text": '{"t":"auth","token":"$TOKEN","cols":80,"rows":24}'}],
        "file": "bulk.txt", "in": {"kind": "raw", "op": 2}, "out": {"kind": "raw", "op": 2},
        "credit": {"every": 131072, "json": {"t": "ack", "output": "$TOTAL"}}}))
    return path


def terminal(world, mode, targets, *more, **pipe):
    command = [sys.executable, str(ROOT / "bench/terminal.py"), mode, *targets, *more]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=world.env, **pipe).stdout
    rows = {}
    for line in out.splitlines():
        row = json.loads(line)
        rows["muster" if row["target"].startswith("ws:") else row["target"]] = row
        print(line, flush=True)
    return rows


def timed(acts, count):
    """Single acts in turn, each `count` times: median, p99 and number, in ms."""
    taken = {name: [] for name in acts}
    for _ in range(count):
        for name, act in acts.items():
            began = time.monotonic()
            act()
            taken[name].append((time.monotonic() - began) * 1e3)
    return {name: {"median_ms": round(statistics.median(all_), 1), "p99_ms": round(sorted(all_)[int(len(all_) * 0.99)], 1),
                   "n": count} for name, all_ in taken.items()}


def prompt(world):
    """From nothing to a prompt in a new allocation, in seconds: launch, token, open, first output."""
    import terminal as t
    began = time.monotonic()
    allocation, _ = world.launch("h100")
    os.environ.update(MUSTER_CONFIG_DIR=world.env["MUSTER_CONFIG_DIR"])
    target = t.WsSpec(str(spec(world, allocation)))
    connection = target.open()
    connection.send(b"echo REA''DY\r")
    t.until(connection, b"READY", 15)
    took = time.monotonic() - began
    connection.close()
    world.muster("release", allocation)
    return took


def cold_start(world):
    """The coordinator alone, on the data of the demo that has stopped: seconds until it is ready."""
    seconds = []
    data = pathlib.Path(world.ready["data_dir"])
    for _ in range(5):
        ready = world.dir / "start.json"
        ready.unlink(missing_ok=True)
        command = [str(BINS / "muster-coordinator"), "serve", "--data-dir", str(data), "--ready-file", str(ready)]
        for door in ("console", "operator", "quic"):
            command += [f"--{door}", "127.0.0.1:0"]
        began = time.monotonic()
        process = subprocess.Popen([*command, "--tls"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not ready.exists() and process.poll() is None:
            time.sleep(0.001)
        seconds.append(time.monotonic() - began)
        process.terminate()
        process.wait()
    return {"median_s": round(statistics.median(seconds), 3), "max_s": round(max(seconds), 3), "n": len(seconds)}


def rest(world, results):
    plain = world.node_without_gpus()
    agent = world.pids["agents"][0]
    both = [agent["pid"], agent["root_pid"]]
    with Telemetry() as peers:
        time.sleep(8)
        results.update(at_rest({
            "coordinator, two idle nodes": [world.pids["coordinator"]],
            "agent with 8 GPUs, both halves": both, "agent with 8 GPUs, network half": both[:1],
            "agent without GPUs, both halves": plain, "agent without GPUs, network half": plain[:1], **peers.groups(),
        }, 20 if QUICK else 60))


def acts(world, results):
    results["ready → prompt in a new allocation"] = {"s": round(prompt(world), 2)}
    times = []
    for _ in range(5 if QUICK else 20):
        allocation, took = world.launch("h100")
        times.append(took * 1e3)
        world.muster("release", allocation)
    results["launch → active (`muster launch --wait`)"] = {
        "median_ms": round(statistics.median(times), 1), "max_ms": round(max(times), 1), "n": len(times)}
    allocation, _ = world.launch("h100")
    time.sleep(6)
    rss, pss = memory(world.cells())
    results["`muster-agent cell`, no session"] = {"rss_mib": round(rss, 2), "pss_mib": round(pss, 2)}
    with WarmSsh() as ssh:
        results.update(timed({
            "`muster exec AL -- true`": lambda: world.muster("exec", allocation, "--", "true"),
            "`ssh node true`, warm master": ssh.true,
            "`muster --version`: start of the process": lambda: run(MUSTER, "--version"),
        }, 20 if QUICK else 100))
    world.muster("release", allocation)


def fill(world):
    """Makes a list of 10,000 rows through the API."""
    lanes = [world.door("operator") for _ in range(8)]

    def make(lane):
        door, headers = lanes[lane]
        for number in range(ROWS // 8):
            door.request("POST", "/api/v1/admin/bootstrap-tokens", '{"ttl_s": 900}', {**headers, "Idempotency-Key": f"{lane}-{number}"})
            answer = door.getresponse()
            if answer.read() and answer.status not in (200, 201):
                raise SystemExit(f"a row was not made: {answer.status}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))


def loaded(world, ours):
    fill(world)
    host, port = world.ready["operator_url"].split("//")[1].split(":")
    here, ca = ROOT / "bench", world.ready["ca_file"]
    loads = [
        f"lists=exec python3 {here}/loads.py lists {host} {port} {ca} /api/v1/admin/bootstrap-tokens",
        f"handshakes=exec {BINS}/examples/handshakes {world.ready['quic_addr']} {ca}",
        f"flood=exec python3 {here}/loads.py flood {ours[3:]}",
    ]
    few = ["--n", "300", "--rounds", "3"] if QUICK else ["--n", "2000", "--rounds", "4"]
    more = [word for load in loads for word in ("--load", load)]
    return terminal(world, "loaded", [ours], *few, *more, input=world.muster("token", "--operator"))


def main():
    world = World()
    tables, results = {}, {"demo ready, new data": {"s": round(world.up_s, 2)}}
    wanted = lambda part: not PARTS or part in PARTS
    try:
        if wanted("rest"):
            rest(world, results)
        if wanted("acts"):
            acts(world, results)
        allocation, _ = world.launch("h100")
        with open(WORK / "bulk.txt") as file:
            run(MUSTER, "exec", allocation, "--", "sh", "-c", "cat > bulk.txt", env=world.env, stdin=file)
        ours = f"ws:{spec(world, allocation)}"
        few = ["--n", "300", "--rounds", "5"] if QUICK else ["--n", "1000", "--rounds", "10"]
        if wanted("echo"):
            tables["echo"] = terminal(world, "echo", [*TARGETS, ours], *few)
            tables["back"] = terminal(world, "echo", [*TARGETS, ours], *few, "--gap-ms", "0")
        if wanted("loaded"):
            tables["loaded"] = loaded(world, ours)
        if wanted("bulk"):
            targets = ["pty", "ssh", "ssh-jump", "sshx", ours]
            tables["bulk"] = terminal(world, "bulk", targets, "--runs", "2" if QUICK else "3", "--most", "20")
        if wanted("open"):
            tables["open"] = terminal(world, "open", ["ssh", "ssh-jump", "sshx", ours], "--n", "10" if QUICK else "20")
        if wanted("idle"):
            tables["idle"] = terminal(world, "idle", ["sshx", ours], "--sessions", "60")
        world.halt()
        if wanted("acts"):
            began = time.monotonic()
            world.start()
            results["demo ready, same data"] = {"s": round(time.monotonic() - began, 2)}
            world.halt()
            results["coordinator, start to ready"] = cold_start(world)
    finally:
        world.stop()
    report.write(tables, results, " ".join(sys.argv[1:]))


main()
