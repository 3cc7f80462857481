#!/usr/bin/env python3
"""Runs the first benchmarks against a release `muster demo` over TLS and writes bench/RESULTS.md.

Every figure stands beside a peer of the same run: ratios are what counts, since machines drift.
"""
import datetime, json, os, pathlib, platform, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINS = ROOT / "target/release"
WORK = pathlib.Path(os.environ["BENCH_WORK"])
QUICK = "quick" in sys.argv[1:]
MUSTER = str(BINS / "muster")


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


class World:
    """A demo with one simulated node, and a signed-in user of it."""

    def __init__(self, name, nodes=1, tls=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"muster-bench-{name}-"))
        self.env = dict(os.environ, MUSTER_CONFIG_DIR=str(self.dir / "profile"), PATH=f"{BINS}:{os.environ['PATH']}")
        ready = self.dir / "ready.json"
        command = [MUSTER, "demo", "--dir", str(self.dir / "demo"), "--nodes", str(nodes), "--ready-file", str(ready)]
        for door in ("console", "operator", "quic"):
            command += [f"--{door}", "127.0.0.1:0"]
        began = time.monotonic()
        log = open(self.dir / "demo.log", "w")
        self.process = subprocess.Popen(command + (["--tls"] if tls else []), stdout=log, stderr=log)
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit((self.dir / "demo.log").read_text())
            time.sleep(0.02)
        self.up_s = time.monotonic() - began
        self.ready = json.loads(ready.read_text())
        user, url = self.ready["user"], self.ready["console_url"]
        ca = ["--ca", self.ready["ca_file"]] if tls else []
        self.muster("login", "--url", url, *ca, "--username", user["username"], "--password-stdin", input=user["password"])

    def muster(self, *arguments, **more):
        return run(MUSTER, *arguments, env=self.env, **more)

    def pids(self):
        """Coordinator, both halves of the agents, and the first processes of cells."""
        pids = self.ready["pids"]
        own = [pids["coordinator"]] + [pid for agent in pids["agents"] for pid in (agent["pid"], agent["root_pid"]) if pid]
        return own + cells()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)


def cells():
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if len(words) > 1 and words[0].endswith(b"muster-agent") and words[1] == b"cell":
            found.append(int(entry.name))
    return found


def memory(pid):
    """(RSS, PSS) in MiB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) / 1024 for name in ("Rss", "Pss"))


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rest(pids, seconds):
    """CPU in percent of one core, and memory, of processes that are left alone."""
    before = sum(map(cpu_s, pids))
    time.sleep(seconds)
    used = sum(map(cpu_s, pids)) - before
    rss, pss = (sum(memory(pid)[at] for pid in pids) for at in (0, 1))
    return {"cpu_percent": round(100 * used / seconds, 2), "rss_mib": round(rss, 1), "pss_mib": round(pss, 1)}


def spec(world, allocation):
    """Our target for terminal.py: its token is minted before each open, outside the timing."""
    minter = world.dir / "mint"
    minter.write_text(
        f"#!/bin/sh\nexec curl -s --cacert {world.ready['ca_file']} -X POST -H 'Content-Type: application/json' "
        f"-H \"Authorization: Bearer $({MUSTER} token)\" -d '{{}}' "
        f"{world.ready['console_url']}/api/v1/allocations/{allocation}/terminal-token | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/'\n")
    minter.chmod(0o755)
    port = int(world.ready["console_url"].rsplit(":", 1)[1])
    path = world.dir / "ours.json"
    pidfiles = []
    for number, pid in enumerate(world.pids()):
        pidfiles.append(str(world.dir / f"pid{number}"))
        pathlib.Path(pidfiles[-1]).write_text(str(pid))
    path.write_text(json.dumps({
        "port": port, "tls": True, "path": f"/ws/terminal/{allocation}", "pidfiles": pidfiles,
        "hello_cmd": [str(minter)], "hello": [{"text": '{"t":"auth","token":"$TOKEN","cols":80,"rows":24}'}],
        "file": "bulk.txt", "in": {"kind": "raw", "op": 2}, "out": {"kind": "raw", "op": 2},
        "credit": {"every": 131072, "json": {"t": "ack", "output": "$TOTAL"}}}))
    return f"ws:{path}"


def terminal(world, mode, targets, *more):
    command = [sys.executable, str(ROOT / "bench/terminal.py"), mode, *targets, *more]
    out = subprocess.run(command, capture_output=True, text=True, env=world.env).stdout
    rows = {}
    for line in out.splitlines():
        row = json.loads(line)
        rows["muster" if row["target"].startswith("ws:") else row["target"]] = row
        print(line, flush=True)
    return rows


def launch(world, *more):
    began = time.monotonic()
    out = world.muster("launch", "--sku", "h100", "--no-ssh", "--wait", "--json", *more)
    took = time.monotonic() - began
    return re.search(r"al_[0-9a-z]{26}", out)[0], took


def times(count, act):
    taken = []
    for _ in range(count):
        began = time.monotonic()
        act()
        taken.append((time.monotonic() - began) * 1e3)
    return {"median_ms": round(statistics.median(taken), 1), "p99_ms": round(sorted(taken)[int(len(taken) * 0.99)], 1), "n": count}


def ssh_mux():
    """`ssh node true` over a warm master connection to an sshd of its own."""
    keys = WORK / "ssh"
    config = keys / "sshd_7122.conf"
    config.write_text(f"Port 7122\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized_keys\n"
                      "UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\n")
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)], stderr=subprocess.DEVNULL)
    base = ["ssh", "-F", "none", "-i", str(keys / "id"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ControlPath=/tmp/muster-bench-mux", "-p", "7122", "musterbench@127.0.0.1"]
    time.sleep(0.5)
    master = subprocess.Popen([*base[:1], "-M", "-N", *base[1:]])
    time.sleep(1)
    try:
        return times(20 if QUICK else 60, lambda: run(*base, "true"))
    finally:
        master.terminate()
        daemon.terminate()


def peer(command, port=None):
    """A telemetry agent at rest, scraped once a second if it has a port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stop = threading.Event()

    def scrape():
        while not stop.wait(1):
            subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/metrics"], check=False)

    if port:
        threading.Thread(target=scrape, daemon=True).start()
    time.sleep(4)
    try:
        return rest([process.pid], 20 if QUICK else 60)
    finally:
        stop.set()
        process.terminate()
        process.wait()


def collectd():
    base = WORK / "collectd"
    base.mkdir(exist_ok=True)
    plugins = "".join(f"LoadPlugin {name}\n" for name in "cpu memory load df disk interface processes uptime swap network".split())
    (base / "c.conf").write_text(f'Interval 1\nBaseDir "{base}"\nPIDFile "{base}/pid"\nPluginDir "/usr/lib/collectd"\n'
                                 f'TypesDB "/usr/share/collectd/types.db"\nHostname "n"\n{plugins}'
                                 '<Plugin network>\n Server "127.0.0.1" "7103"\n</Plugin>\n')
    return peer(["/usr/sbin/collectd", "-f", "-C", str(base / "c.conf")])


def main():
    results = {}
    world = World("spine")
    results["demo ready (new data)"] = {"s": round(world.up_s, 2)}
    pids = world.ready["pids"]
    time.sleep(5)
    seconds = 20 if QUICK else 60
    results["coordinator, one idle node"] = rest([pids["coordinator"]], seconds)
    agent = pids["agents"][0]
    results["agent, 8 GPUs at 1 Hz (network half)"] = rest([agent["pid"]], seconds)
    results["agent, 8 GPUs at 1 Hz (both halves)"] = rest([agent["pid"], agent["root_pid"]], seconds)
    results["prometheus-node-exporter, scraped at 1 Hz"] = peer(
        ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:7101"], 7101)
    results["collectd, 10 plugins at 1 Hz"] = collectd()
    launches = []
    for _ in range(5 if QUICK else 20):
        allocation, took = launch(world)
        launches.append(took * 1e3)
        world.muster("release", allocation)
    results["launch → active (`muster launch --wait`)"] = {
        "median_ms": round(statistics.median(launches), 1), "max_ms": round(max(launches), 1), "n": len(launches)}
    allocation, _ = launch(world)
    with open(WORK / "bulk.txt") as file:
        run(MUSTER, "exec", allocation, "--", "sh", "-c", "cat > bulk.txt", env=world.env, stdin=file)
    ours = spec(world, allocation)
    few = ["--n", "300", "--rounds", "5"] if QUICK else ["--n", "1000", "--rounds", "10"]
    targets = ["tcp", "pty", "socat-tls", "ssh", "ssh-jump", "sshx", ours]
    echo = terminal(world, "echo", targets, *few)
    back = terminal(world, "echo", targets, *few, "--gap-ms", "0")
    bulk = terminal(world, "bulk", ["pty", "ssh", "ssh-jump", "sshx", ours], "--runs", "2" if QUICK else "3", "--most", "60")
    opened = terminal(world, "open", ["ssh", "ssh-jump", "sshx", ours], "--n", "10" if QUICK else "20")
    idle = terminal(world, "idle", ["sshx", ours], "--sessions", "60")
    results["`muster exec AL -- true`"] = times(20 if QUICK else 60, lambda: world.muster("exec", allocation, "--", "true"))
    results["`ssh node true`, warm master"] = ssh_mux()
    world.stop()
    write(results, echo, back, bulk, opened, idle)


def table(rows, columns):
    lines = ["| target | " + " | ".join(label for label, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells_ = [row.get("error", "")[:60] if key == columns[0][1] and "error" in row else str(row.get(key, "")) for _, key in columns]
        lines.append(f"| {name} | " + " | ".join(cells_) + " |")
    return "\n".join(lines) + "\n"


def ratio(rows, key, other):
    try:
        return f"{rows['muster'][key] / rows[other][key]:.2f}"
    except (KeyError, ZeroDivisionError):
        return "not had"


def write(results, echo, back, bulk, opened, idle):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    text = f"""# Results

Machine: {os.cpu_count()} × {cpu}, {platform.system()} {platform.release()}. Made {when} by `bench/run.py{' quick' if QUICK else ''}`.
Loopback only; release build; TLS on the door, mutual TLS on the link; everything of one table ran interleaved.
Ratios count: absolute figures move by a third from run to run on a shared machine.

## Ratios

| goal | ours / peer |
|---|---|
| echo at 2 ms pace / ssh through a jump host (≤ 1.1) | {ratio(echo, 'median_us', 'ssh-jump')} |
| echo at 2 ms pace / sshx (≤ 0.55) | {ratio(echo, 'median_us', 'sshx')} |
| echo back to back / sshx (≤ 0.5) | {ratio(back, 'median_us', 'sshx')} |
| bulk / local PTY (≥ 0.9) | {ratio(bulk, 'MBps', 'pty')} |
| bulk / sshx (≥ 1.5) | {ratio(bulk, 'MBps', 'sshx')} |
| open to first output / sshx (≤ 1.0) | {ratio(opened, 'open_to_first_output_ms_median', 'sshx')} |
| memory a session / sshx (≤ 0.3) | {ratio(idle, 'pss_MB_per_session', 'sshx')} |

## Echo of a key, 2 ms pace

{table(echo, [('median µs', 'median_us'), ('p90', 'p90_us'), ('p99', 'p99_us'), ('n', 'n')])}
## Echo of a key, back to back

{table(back, [('median µs', 'median_us'), ('p90', 'p90_us'), ('p99', 'p99_us'), ('n', 'n')])}
## Bulk: `cat` of 100 MB

{table(bulk, [('MB/s', 'MBps'), ('spread', 'spread'), ('path CPU s', 'path_cpu_s'), ('bytes skipped', 'bytes_skipped'), ('failed', 'failed')])}
## Open to first output

{table(opened, [('median ms', 'open_to_first_output_ms_median'), ('p99', 'p99'), ('n', 'n')])}
## Idle terminals

{table(idle, [('sessions', 'sessions'), ('PSS MiB', 'pss_MB'), ('PSS MiB a session', 'pss_MB_per_session'), ('CPU %', 'idle_cpu_pct')])}
## At rest, and single acts

| what | figures |
|---|---|
""" + "".join(f"| {name} | {', '.join(f'{key} {value}' for key, value in row.items())} |\n" for name, row in results.items())
    (ROOT / "bench/RESULTS.md").write_text(text)
    print(text)


main()
